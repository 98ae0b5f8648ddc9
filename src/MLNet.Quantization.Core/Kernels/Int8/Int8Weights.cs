namespace MLNet.Quantization.Kernels;

/// <summary>
/// Weights w [k, n] of s8 codes, symmetric, packed as one kernel wants them: panels of columns one after the other, each
/// [group of k][column][k within group], zero where k or n is padded. Immutable. Made by <see cref="Int8Gemm.Pack"/>.
/// </summary>
internal sealed unsafe class Int8Weights
{
    private readonly AlignedBuffer _packed;

    internal Int8Weights(Int8Kernel kernel, ReadOnlySpan<sbyte> weights, int k, int n, bool transposed)
    {
        Kernel = kernel;
        K = k;
        N = n;
        Groups = (k + (long)kernel.GroupSize - 1) / kernel.GroupSize;
        var vectors = kernel.PanelVectors(n);
        Panels = new Panel[vectors.Length];
        long offset = 0;
        int column = 0;
        for (int p = 0; p < vectors.Length; p++)
        {
            int width = vectors[p] * kernel.Lanes;
            int columns = Math.Min(width, n - column);
            Panels[p] = new(vectors[p], width, column, columns, offset, ulong.MaxValue >> (64 - (columns - ((vectors[p] - 1) * kernel.Lanes))));
            offset = checked(offset + (Groups * width * kernel.GroupSize));
            column += width;
        }
        PaddedN = column;
        ExactColumnSums = new long[n];
        _packed = new AlignedBuffer(offset);
        foreach (var panel in Panels) Fill(panel, weights, transposed);
        ColumnSums = Array.ConvertAll(ExactColumnSums, s => unchecked((int)s));
    }

    public Int8Kernel Kernel { get; }

    /// <summary>Elements that one sum runs over.</summary>
    public int K { get; }

    /// <summary>Output columns.</summary>
    public int N { get; }

    /// <summary>Σ over k of w[k, j], modulo 2^32; length n.</summary>
    public int[] ColumnSums { get; }

    internal long[] ExactColumnSums { get; }

    /// <summary>Bytes of the packed weights.</summary>
    public long PackedBytes => _packed.Length;

    internal long Groups { get; }

    internal Panel[] Panels { get; }

    /// <summary>Columns of all panels together.</summary>
    internal int PaddedN { get; }

    /// <summary>Valid while this object lives.</summary>
    internal sbyte* Pointer => (sbyte*)_packed.Pointer;

    private void Fill(Panel panel, ReadOnlySpan<sbyte> weights, bool transposed)
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

    /// <param name="Vectors">Width in vectors.</param>
    /// <param name="Width">Width in columns.</param>
    /// <param name="Column">First column.</param>
    /// <param name="Columns">Columns that exist.</param>
    /// <param name="Offset">Where the panel starts, in bytes.</param>
    /// <param name="LastVectorMask">The lanes of the last vector that exist.</param>
    internal readonly record struct Panel(int Vectors, int Width, int Column, int Columns, long Offset, ulong LastVectorMask);
}
