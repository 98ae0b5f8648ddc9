namespace MLNet.Quantization.Kernels;

/// <summary>
/// How one image and one group of a convolution fall into chunks, for so many lanes: lines of output pixels, parts of a line, panels of
/// weights.
/// </summary>
/// <param name="LineChunks">Chunks along the lines.</param>
/// <param name="WidthChunks">Chunks along a line.</param>
/// <param name="PanelChunks">Chunks along the panels.</param>
internal readonly record struct ConvolutionGrid(int LineChunks, int WidthChunks, int PanelChunks)
{
    /// <summary>Nanoseconds of a multiply-add and of an output, on one thread.</summary>
    private const double ProductTime = 0.005, OutputTime = 0.06;

    /// <summary>Nanoseconds of a chunk, so that a late worker costs little.</summary>
    private const double ChunkTime = 40_000;

    private const int MostChunksOfLane = 16;

    /// <summary>Input of a chunk that stays in the second-level cache while all panels pass.</summary>
    private const int ChunkBytes = 384 << 10;

    /// <summary>Pixels below which a part of a line has too few tiles.</summary>
    private const int LeastWidth = 24;

    public int Chunks => LineChunks * WidthChunks * PanelChunks;

    /// <summary>What one image takes on one thread, roughly, in nanoseconds, without its copy.</summary>
    public static double Time(ConvolutionShape shape) => (shape.Work * ProductTime) + ((double)shape.Output.Count * shape.Outputs * OutputTime);

    /// <param name="shape">The extents.</param>
    /// <param name="weights">Of one group.</param>
    /// <param name="imageBytes">What the windows of one image are read from.</param>
    /// <param name="lanes">That one image is spread over.</param>
    public static ConvolutionGrid For(ConvolutionShape shape, Int8Weights weights, long imageBytes, int lanes)
    {
        int lines = shape.Output.Depth * shape.Output.Height, width = shape.Output.Width, panels = weights.Panels.Length;
        int wanted = lanes <= 1 ? 1 : lanes * (int)Math.Clamp(Time(shape) / shape.Groups / ChunkTime / lanes, 1, MostChunksOfLane);
        bool byPanels = weights.PackedBytes > imageBytes && Balance(panels, wanted) >= Balance(lines, wanted);
        int panelChunks = byPanels ? Math.Min(wanted, panels) : 1;
        int pixelChunks = Math.Max((wanted + panelChunks - 1) / panelChunks, (int)Math.Min(lines, imageBytes / ChunkBytes));
        // As many for each lane.
        if (lanes > 1 && !byPanels) pixelChunks = (pixelChunks + lanes - 1) / lanes * lanes;
        int lineChunks = Math.Clamp(pixelChunks, 1, Math.Max(1, lines));
        int widthChunks = Math.Clamp(pixelChunks / lineChunks, 1, Math.Max(1, width / LeastWidth));
        return new(lineChunks, widthChunks, panelChunks);
    }

    /// <summary>Where chunk <paramref name="chunk"/> of <paramref name="chunks"/> begins.</summary>
    public static int At(int count, int chunk, int chunks) => (int)((long)count * chunk / chunks);

    /// <summary>The share of the time in which all chunks run, where they run at once.</summary>
    private static double Balance(int count, int chunks) => count / (Math.Ceiling((double)count / chunks) * chunks);
}
