using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// Sparse rows x times s8 weights w [k, n]: c[i, j] = ((float)acc · Sa) · Sw[j] + b[j] with acc = Σ (q - Za) · w[k, j] over the values
/// that row i stores, q being their u8 codes. A zero has the code Za, so that these are the bytes of <see cref="FloatProduct"/> on the
/// dense rows. With a <see cref="CodeOutput"/> the sums become codes instead, the bytes of <see cref="RequantizedProduct"/>. Immutable, for
/// any number of threads.
/// </summary>
/// <remarks>
/// Weights lie as [k][n padded to 16], so that a stored value meets the weights of 16 columns in one load. Values are taken in pairs:
/// (q - Za) lies within ±255, so vpmaddwd sums two exact products for each column.
/// </remarks>
internal sealed unsafe class SparseProduct
{
    private const int Strip = 16;

    /// <summary>Values that are quantized at a time, on the stack.</summary>
    private const int Batch = 256;

    /// <summary>Up to here sums fit int32: 255 · 128 a value.</summary>
    private const int MaxExactValues = 65793;

    private const int RowsPerChunk = 64;

    private readonly AlignedBuffer _weights;
    private readonly int _k, _n, _stride;
    private readonly float[] _columnScales, _bias;
    private readonly CodeOutput? _codes;

    /// <param name="weights">[k, n] row-major, or [n, k] where <paramref name="transposed"/>.</param>
    /// <param name="k">Features.</param>
    /// <param name="n">Output columns.</param>
    /// <param name="transposed">True where the weights of one output column lie together.</param>
    /// <param name="columnScales">Sw: n, or 1 for all columns.</param>
    /// <param name="bias">n, or empty for none.</param>
    public SparseProduct(ReadOnlySpan<sbyte> weights, int k, int n, bool transposed, ReadOnlySpan<float> columnScales, ReadOnlySpan<float> bias)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(k);
        ArgumentOutOfRangeException.ThrowIfNegative(n);
        if (weights.Length != (long)k * n) throw new ArgumentException($"{weights.Length} weights do not fill [{k}, {n}].", nameof(weights));
        _k = k;
        _n = n;
        _stride = checked(n + Strip - 1) / Strip * Strip;
        _weights = new AlignedBuffer((long)k * _stride);
        for (int l = 0; l < k; l++)
            for (int j = 0; j < n; j++)
                ((sbyte*)_weights.Pointer)[((long)l * _stride) + j] = weights[transposed ? (j * k) + l : (l * n) + j];
        _columnScales = FloatProduct.PerColumn(columnScales, n, 1, nameof(columnScales));
        _bias = FloatProduct.PerColumn(bias, n, 0, nameof(bias));
    }

    /// <param name="weights">As above.</param>
    /// <param name="k">Features.</param>
    /// <param name="n">Output columns.</param>
    /// <param name="transposed">As above.</param>
    /// <param name="output">What becomes of the sums.</param>
    public SparseProduct(ReadOnlySpan<sbyte> weights, int k, int n, bool transposed, CodeOutput output)
        : this(weights, k, n, transposed, [1f], [])
    {
        if (output.Multipliers.Length != n || output.Bias.Length != n && output.Bias.Length != 0)
            throw new ArgumentException($"{output.Multipliers.Length} multipliers and {output.Bias.Length} bias values for {n} columns.", nameof(output));
        _codes = output;
    }

    /// <summary>Scratch memory for <paramref name="rows"/> rows: none is needed.</summary>
    public long WorkspaceBytes(int rows) => 0;

    /// <param name="starts">rows + 1 positions in <paramref name="columns"/> and <paramref name="values"/>.</param>
    /// <param name="columns">Strictly ascending within a row, 0 .. k - 1.</param>
    /// <param name="values">As many as columns.</param>
    /// <param name="rows">0 or more.</param>
    /// <param name="fixedParameters">Sa and Za for all rows; null: from each row, as <see cref="RowQuantizer"/> would from the dense row.</param>
    /// <param name="c">[rows, n].</param>
    /// <param name="workspace"><see cref="WorkspaceBytes"/>.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    /// <exception cref="ArgumentException">A span is too short, or a column lies outside 0 .. k - 1.</exception>
    public void Run(
        ReadOnlySpan<int> starts, ReadOnlySpan<int> columns, ReadOnlySpan<float> values, int rows, AffineParameters? fixedParameters,
        Span<float> c, Span<byte> workspace, int maxThreads)
    {
        if (_codes is not null) throw new InvalidOperationException("This product was made for codes.");
        Check(starts, columns, values, rows, c.Length);
        fixed (float* pc = c) Run(starts, columns, values, rows, fixedParameters, (byte*)pc, maxThreads);
    }

    /// <summary>The same for a product made with a <see cref="CodeOutput"/>: codes come out.</summary>
    public void Run(
        ReadOnlySpan<int> starts, ReadOnlySpan<int> columns, ReadOnlySpan<float> values, int rows, AffineParameters fixedParameters,
        Span<byte> c, Span<byte> workspace, int maxThreads)
    {
        if (_codes is null) throw new InvalidOperationException("This product was made for floats.");
        Check(starts, columns, values, rows, c.Length);
        fixed (byte* pc = c) Run(starts, columns, values, rows, fixedParameters, pc, maxThreads);
    }

    private void Run(
        ReadOnlySpan<int> starts, ReadOnlySpan<int> columns, ReadOnlySpan<float> values, int rows, AffineParameters? fixedParameters, byte* c, int maxThreads)
    {
        fixed (int* ps = starts, pi = columns)
        fixed (float* pv = values)
        {
            var body = new Body(this, ps, pi, pv, rows, fixedParameters, c);
            WorkerPool.Run(ref body, (rows + RowsPerChunk - 1) / RowsPerChunk, maxThreads);
        }
        GC.KeepAlive(this);
    }

    private void Check(ReadOnlySpan<int> starts, ReadOnlySpan<int> columns, ReadOnlySpan<float> values, int rows, int outputs)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        if (rows > 0 && starts.Length <= rows) throw new ArgumentException($"{starts.Length} starts for {rows} rows.", nameof(starts));
        if (columns.Length != values.Length) throw new ArgumentException($"{columns.Length} columns and {values.Length} values.", nameof(columns));
        if (outputs < (long)rows * _n) throw new ArgumentException($"The output holds {outputs} elements, needed is [{rows}, {_n}].");
        for (int i = 0; i < rows; i++)
            if (starts[i] < 0 || starts[i] > starts[i + 1] || starts[i + 1] > columns.Length)
                throw new ArgumentException($"Row {i} starts at {starts[i]} and ends at {starts[i + 1]} of {columns.Length} values.", nameof(starts));
        foreach (int column in columns)
            if ((uint)column >= (uint)_k) throw new ArgumentException($"Column {column} lies outside 0 .. {_k - 1}.", nameof(columns));
    }

    private readonly struct Body(
        SparseProduct product, int* starts, int* columns, float* values, int rows, AffineParameters? fixedParameters, byte* c) : IParallelBody
    {
        public void Run(int chunk, int lane)
        {
            int end = Math.Min(rows, (chunk + 1) * RowsPerChunk);
            long rowBytes = (long)product._n * (product._codes is null ? sizeof(float) : sizeof(byte));
            for (int i = chunk * RowsPerChunk; i < end; i++)
            {
                int start = starts[i], count = starts[i + 1] - start;
                var (scale, zeroPoint) = fixedParameters is { } f ? (f.Scale, f.ZeroPoint) : RowQuantizer.ParametersOf(values + start, count);
                product.Row(columns + start, values + start, count, scale, zeroPoint, c + (i * rowBytes));
            }
        }
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Row(int* columns, float* values, int count, float scale, int zeroPoint, byte* c)
    {
        byte* codes = stackalloc byte[Batch];
        short* deviations = stackalloc short[Batch + 2];
        long* sums = stackalloc long[Strip];
        for (int strip = 0; strip < _n; strip += Strip)
        {
            sbyte* weights = (sbyte*)_weights.Pointer + strip;
            Vector256<int> low = default, high = default;
            new Span<long>(sums, Strip).Clear();
            for (int p = 0, exact = 0; p < count; p += Batch)
            {
                int n = Math.Min(Batch, count - p);
                RowQuantizer.Codes(values + p, n, scale, zeroPoint, codes);
                for (int i = 0; i < n; i++) deviations[i] = (short)(codes[i] - zeroPoint);
                deviations[n] = 0;
                if ((exact += n) > MaxExactValues)
                {
                    Spill(ref low, ref high, sums);
                    exact = n;
                }
                for (int i = 0; i < n; i += 2)
                {
                    // An odd last value is paired with itself, times zero.
                    var first = Vector128.Load(weights + ((long)columns[p + i] * _stride));
                    var second = Vector128.Load(weights + ((long)columns[p + Math.Min(i + 1, n - 1)] * _stride));
                    Add(ref low, ref high, first, second, *(int*)(deviations + i));
                }
            }
            Spill(ref low, ref high, sums);
            Finish(sums, strip, scale, c);
        }
    }

    private void Finish(long* sums, int strip, float scale, byte* c)
    {
        int width = Math.Min(Strip, _n - strip);
        if (_codes is not { } o)
        {
            for (int j = 0; j < width; j++) ((float*)c)[strip + j] = NaiveInt8.Scale(sums[j], scale, _columnScales[strip + j], _bias[strip + j]);
            return;
        }
        float low = o.ClampMin - o.ZeroPoint, high = o.ClampMax - o.ZeroPoint;
        for (int j = strip; j < strip + width; j++)
            c[j] = NaiveInt8.Requantize(sums[j - strip] + (o.Bias.Length == 0 ? 0 : o.Bias[j]), o.Multipliers[j], o.ZeroPoint, low, high);
    }

    /// <summary>Adds first · d0 + second · d1 for 16 columns; <paramref name="pair"/> holds d0 in its lower half, d1 in its upper one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(ref Vector256<int> low, ref Vector256<int> high, Vector128<sbyte> first, Vector128<sbyte> second, int pair)
    {
        if (Avx2.IsSupported)
        {
            var d = Vector256.Create(pair).AsInt16();
            low = Avx2.Add(low, Avx2.MultiplyAddAdjacent(Avx2.ConvertToVector256Int16(Sse2.UnpackLow(first, second)), d));
            high = Avx2.Add(high, Avx2.MultiplyAddAdjacent(Avx2.ConvertToVector256Int16(Sse2.UnpackHigh(first, second)), d));
            return;
        }
        // One product fits int16 (255 · 128 = 32,640), the sum of two does not.
        var d0 = Vector256.Create((short)pair);
        var d1 = Vector256.Create((short)(pair >> 16));
        var x = Vector256.Create(Vector128.WidenLower(first), Vector128.WidenUpper(first)) * d0;
        var y = Vector256.Create(Vector128.WidenLower(second), Vector128.WidenUpper(second)) * d1;
        low += Vector256.WidenLower(x) + Vector256.WidenLower(y);
        high += Vector256.WidenUpper(x) + Vector256.WidenUpper(y);
    }

    private static void Spill(ref Vector256<int> low, ref Vector256<int> high, long* sums)
    {
        for (int j = 0; j < 8; j++)
        {
            sums[j] += low[j];
            sums[j + 8] += high[j];
        }
        low = default;
        high = default;
    }
}
