namespace MLNet.Quantization.Kernels;

/// <summary>How a right factor [k, n] of s8 codes lies in memory as one kernel wants it. Immutable.</summary>
internal sealed class Int8Layout
{
    /// <param name="kernel">Says the widths of panels and what lies together.</param>
    /// <param name="k">Elements of one sum.</param>
    /// <param name="n">Columns.</param>
    public Int8Layout(Int8Kernel kernel, int k, int n)
    {
        (Kernel, K, N) = (kernel, k, n);
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
        (Bytes, PaddedN) = (offset, column);
    }

    public Int8Kernel Kernel { get; }

    /// <summary>Elements that one sum runs over.</summary>
    public int K { get; }

    /// <summary>Columns that exist.</summary>
    public int N { get; }

    /// <summary>Groups of k, the last one filled up with zeros.</summary>
    public long Groups { get; }

    public Panel[] Panels { get; }

    /// <summary>Of all panels together.</summary>
    public long Bytes { get; }

    /// <summary>Columns of all panels together.</summary>
    public int PaddedN { get; }

    /// <param name="Vectors">Width in vectors.</param>
    /// <param name="Width">Width in columns.</param>
    /// <param name="Column">First column.</param>
    /// <param name="Columns">Columns that exist.</param>
    /// <param name="Offset">Where the panel starts, in bytes.</param>
    /// <param name="LastVectorMask">The lanes of the last vector that exist.</param>
    internal readonly record struct Panel(int Vectors, int Width, int Column, int Columns, long Offset, ulong LastVectorMask);
}
