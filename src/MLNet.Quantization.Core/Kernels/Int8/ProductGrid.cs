namespace MLNet.Quantization.Kernels;

/// <summary>
/// How a product falls into chunks: rectangles of row blocks times groups of panels, for so many lanes. Each result is one exact sum, so
/// results do not depend on it.
/// </summary>
/// <param name="RowsPerChunk">Rows of a chunk; the last has what remains.</param>
/// <param name="RowChunks">Chunks along m.</param>
/// <param name="PanelsPerChunk">Panels of a chunk.</param>
/// <param name="PanelChunks">Chunks along n.</param>
internal readonly record struct ProductGrid(int RowsPerChunk, int RowChunks, int PanelsPerChunk, int PanelChunks)
{
    /// <summary>Nanoseconds of a multiply-add, of one where few rows share the weights that pass, and of an output, those that fill a vector counted.</summary>
    private const double ProductTime = 0.005, FewRowsTime = 0.018, OutputTime = 0.06;

    /// <summary>Rows that make a tile high enough for the weights not to matter.</summary>
    private const int FewRows = 4;

    /// <summary>Nanoseconds of a chunk, so that a late worker costs little and the counter nothing.</summary>
    private const double ChunkTime = 40_000;

    private const int MostChunksOfLane = 64;

    /// <summary>Rows that a chunk has at least: they make high tiles of any kernel.</summary>
    private const int RowUnit = 24;

    /// <summary>What the rows of a long chunk are a multiple of.</summary>
    private const int LongUnit = 8;

    public int Chunks => RowChunks * PanelChunks;

    /// <summary>What the product takes on one thread, roughly, in nanoseconds.</summary>
    public static double Time(int m, Int8Weights weights) => (double)m * weights.PaddedN * ((weights.K * (m < FewRows ? FewRowsTime : ProductTime)) + OutputTime);

    public static ProductGrid For(int m, Int8Weights weights, int lanes)
    {
        int panels = weights.Panels.Length;
        if (lanes <= 1) return new(m, 1, panels, 1);
        int wanted = lanes * (int)Math.Clamp(Time(m, weights) / ChunkTime / lanes, 1, MostChunksOfLane);
        int rows = m, rowChunks = 1;
        if (m >= 2 * RowUnit)
        {
            // As many for each lane.
            rowChunks = Math.Min(wanted, Math.Max(1, m / RowUnit / lanes) * lanes);
            rows = Math.Max(RowUnit, (m + rowChunks - 1) / rowChunks);
            if (rows >= 4 * RowUnit) rows = (rows + LongUnit - 1) / LongUnit * LongUnit;
            rowChunks = (m + rows - 1) / rows;
        }
        // Chunks of few panels would read the rows again and again.
        int panelChunks = Math.Clamp(wanted / rowChunks, 1, m >= 2 * RowUnit ? Math.Max(1, panels / 4) : panels);
        int perChunk = (panels + panelChunks - 1) / panelChunks;
        return new(rows, rowChunks, perChunk, (panels + perChunk - 1) / perChunk);
    }
}
