namespace MLNet.Quantization.Kernels;

/// <summary>
/// How one image and one group of a convolution fall into chunks: lines of output pixels, parts of a line, panels of weights. Depends on
/// the shapes alone.
/// </summary>
/// <param name="Lines">Lines of a chunk.</param>
/// <param name="LineChunks">Chunks along the lines.</param>
/// <param name="Width">Pixels of a line in a chunk.</param>
/// <param name="WidthChunks">Chunks along a line.</param>
/// <param name="Panels">Panels of a chunk.</param>
/// <param name="PanelChunks">Chunks along the panels.</param>
internal readonly record struct ConvolutionGrid(int Lines, int LineChunks, int Width, int WidthChunks, int Panels, int PanelChunks)
{
    /// <summary>Multiply-adds below which one thread is quicker than waking a second.</summary>
    public const double Alone = 1.5e6;

    /// <summary>Multiply-adds of a chunk: some 20 µs.</summary>
    private const double ChunkWork = 4e6;

    private const int MaxChunks = 64;

    /// <summary>Input of a chunk that stays in the second-level cache while all panels pass.</summary>
    private const int ChunkBytes = 384 << 10;

    /// <summary>Pixels below which a part of a line has too few tiles.</summary>
    private const int LeastWidth = 24;

    public int Chunks => LineChunks * WidthChunks * PanelChunks;

    /// <param name="shape">The extents.</param>
    /// <param name="weights">Of one group.</param>
    /// <param name="imageBytes">What the windows of one image are read from.</param>
    public static ConvolutionGrid For(ConvolutionShape shape, Int8Weights weights, long imageBytes)
    {
        int lines = shape.Output.Depth * shape.Output.Height, width = shape.Output.Width, panels = weights.Panels.Length;
        double work = shape.Work / shape.Groups;
        int wanted = work < Alone ? 1 : (int)Math.Clamp(work / ChunkWork, 2, MaxChunks);
        int panelChunks = weights.PackedBytes > imageBytes ? Math.Min(wanted, panels) : 1;
        int pixelChunks = Math.Max((wanted + panelChunks - 1) / panelChunks, (int)Math.Min(lines, imageBytes / ChunkBytes));
        int lineChunks = Math.Clamp(pixelChunks, 1, Math.Max(1, lines));
        int widthChunks = Math.Clamp(pixelChunks / lineChunks, 1, Math.Max(1, width / LeastWidth));
        var (l, lc) = Split(lines, lineChunks);
        var (w, wc) = Split(width, widthChunks);
        var (p, pc) = Split(panels, panelChunks);
        return new(l, lc, w, wc, p, pc);
    }

    private static (int Each, int Chunks) Split(int count, int chunks)
    {
        int each = Math.Max(1, (count + chunks - 1) / chunks);
        return (each, (count + each - 1) / each);
    }
}
