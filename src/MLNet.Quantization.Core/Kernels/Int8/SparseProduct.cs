using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// Sparse rows x times s8 weights w [k, n]: c[i, j] = ((float)acc · Sa) · Sw[j] + b[j] with acc = Σ (q - Za) · w[k, j] over the values
/// that row i stores, q being their u8 codes. A zero has the code Za, so that these are the bytes of <see cref="FloatProduct"/> on the
/// dense rows. Immutable, for any number of threads.
/// </summary>
internal sealed class SparseProduct
{
    private readonly sbyte[] _weights;
    private readonly int _n;
    private readonly float[] _columnScales, _bias;

    /// <param name="weights">[k, n] row-major, or [n, k] where <paramref name="transposed"/>.</param>
    /// <param name="k">Features.</param>
    /// <param name="n">Output columns.</param>
    /// <param name="transposed">True where the weights of one output column lie together.</param>
    /// <param name="columnScales">Sw: n, or 1 for all columns.</param>
    /// <param name="bias">n, or empty for none.</param>
    public SparseProduct(ReadOnlySpan<sbyte> weights, int k, int n, bool transposed, ReadOnlySpan<float> columnScales, ReadOnlySpan<float> bias)
    {
        _n = n;
        _weights = new sbyte[weights.Length];
        for (int l = 0; l < k; l++)
            for (int j = 0; j < n; j++)
                _weights[l * n + j] = weights[transposed ? j * k + l : l * n + j];
        _columnScales = columnScales.Length == 1 ? Enumerable.Repeat(columnScales[0], n).ToArray() : columnScales.ToArray();
        _bias = bias.ToArray();
    }

    /// <summary>Scratch memory for <paramref name="rows"/> rows.</summary>
    public long WorkspaceBytes(int rows) => 0;

    /// <param name="starts">rows + 1 positions in <paramref name="columns"/> and <paramref name="values"/>.</param>
    /// <param name="columns">Strictly ascending within a row, 0 .. k - 1.</param>
    /// <param name="values">As many as columns.</param>
    /// <param name="rows">0 or more.</param>
    /// <param name="fixedParameters">Sa and Za for all rows; null: from each row, as <see cref="RowQuantizer"/> would from the dense row.</param>
    /// <param name="c">[rows, n].</param>
    /// <param name="workspace"><see cref="WorkspaceBytes"/>.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public void Run(
        ReadOnlySpan<int> starts, ReadOnlySpan<int> columns, ReadOnlySpan<float> values, int rows, AffineParameters? fixedParameters,
        Span<float> c, Span<byte> workspace, int maxThreads)
    {
        for (int i = 0; i < rows; i++)
        {
            float min = 0, max = 0;
            for (int p = starts[i]; p < starts[i + 1]; p++)
            {
                min = MathF.Min(min, values[p]);
                max = MathF.Max(max, values[p]);
            }
            var (scale, zeroPoint) = fixedParameters is { } f ? (f.Scale, f.ZeroPoint) : RowQuantizer.ParametersOf(min, max);
            for (int j = 0; j < _n; j++)
            {
                long acc = 0;
                for (int p = starts[i]; p < starts[i + 1]; p++)
                    acc += (RowQuantizer.Code(values[p], scale, zeroPoint) - zeroPoint) * _weights[columns[p] * _n + j];
                c[i * _n + j] = NaiveInt8.Scale(acc, scale, _columnScales[j], _bias.Length == 0 ? 0 : _bias[j]);
            }
        }
    }
}
