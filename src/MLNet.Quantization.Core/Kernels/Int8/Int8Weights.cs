namespace MLNet.Quantization.Kernels;

/// <summary>
/// Weights w [k, n] of s8 codes, symmetric, packed as one kernel wants them: panels of columns one after the other, each
/// [group of k][column][k within group], zero where k or n is padded. Immutable. Made by <see cref="Int8Gemm.Pack"/>.
/// </summary>
internal sealed unsafe class Int8Weights
{
    private readonly Int8Layout _layout;
    private readonly AlignedBuffer _packed;

    internal Int8Weights(Int8Kernel kernel, ReadOnlySpan<sbyte> weights, int k, int n, bool transposed)
    {
        _layout = new(kernel, k, n);
        ExactColumnSums = new long[n];
        _packed = new AlignedBuffer(_layout.Bytes);
        foreach (var panel in Panels) Fill(panel, weights, transposed);
        ColumnSums = Array.ConvertAll(ExactColumnSums, s => unchecked((int)s));
    }

    public Int8Kernel Kernel => _layout.Kernel;

    /// <summary>Elements that one sum runs over.</summary>
    public int K => _layout.K;

    /// <summary>Output columns.</summary>
    public int N => _layout.N;

    /// <summary>Σ over k of w[k, j], modulo 2^32; length n.</summary>
    public int[] ColumnSums { get; }

    internal long[] ExactColumnSums { get; }

    /// <summary>Bytes of the packed weights.</summary>
    public long PackedBytes => _packed.Length;

    internal long Groups => _layout.Groups;

    internal Int8Layout.Panel[] Panels => _layout.Panels;

    /// <summary>Columns of all panels together.</summary>
    internal int PaddedN => _layout.PaddedN;

    /// <summary>Valid while this object lives.</summary>
    internal sbyte* Pointer => (sbyte*)_packed.Pointer;

    private void Fill(Int8Layout.Panel panel, ReadOnlySpan<sbyte> weights, bool transposed)
    {
        int group = Kernel.GroupSize;
        for (int l = 0; l < K; l++)
        {
            sbyte* to = Pointer + panel.Offset + ((long)(l / group) * panel.Width * group) + (l % group);
            for (int j = 0; j < panel.Columns; j++)
            {
                int column = panel.Column + j;
                sbyte code = weights[transposed ? (column * K) + l : (l * N) + column];
                to[j * group] = code;
                ExactColumnSums[column] += code;
            }
        }
    }
}
