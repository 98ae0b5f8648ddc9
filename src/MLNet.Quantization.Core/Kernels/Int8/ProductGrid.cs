namespace MLNet.Quantization.Kernels;

/// <summary>
/// How a product falls into chunks: rectangles of row blocks times groups of panels. Depends on the shape alone, so that results and
/// order of work do not depend on threads.
/// </summary>
/// <param name="RowsPerChunk">Rows of a chunk; the last has what remains.</param>
/// <param name="RowChunks">Chunks along m.</param>
/// <param name="PanelsPerChunk">Panels of a chunk.</param>
/// <param name="PanelChunks">Chunks along n.</param>
internal readonly record struct ProductGrid(int RowsPerChunk, int RowChunks, int PanelsPerChunk, int PanelChunks)
{
    /// <summary>Multiply-adds below which one thread is quicker than waking a second.</summary>
    private const double Alone = 2e6;

    /// <summary>Multiply-adds of a chunk: some 40 µs, so that a late worker costs little and the counter nothing.</summary>
    private const double ChunkWork = 8e6;

    private const int MaxChunks = 256;

    /// <summary>Fits tiles of 6, 8 and 12 rows.</summary>
    private const int RowUnit = 24;

    public int Chunks => RowChunks * PanelChunks;

    public static ProductGrid For(int m, Int8Weights weights)
    {
        int panels = weights.Panels.Length;
        double work = (double)m * weights.K * weights.N;
        if (work < Alone) return new(m, 1, panels, 1);
        int wanted = (int)Math.Clamp(work / ChunkWork, 2, MaxChunks);
        int rows = m, rowChunks = 1;
        if (m >= 2 * RowUnit)
        {
            rows = (m + wanted - 1) / wanted;
            rows = Math.Max(2, (rows + RowUnit - 1) / RowUnit) * RowUnit;
            rowChunks = (m + rows - 1) / rows;
        }
        // Chunks of few panels would read the rows again and again.
        int panelChunks = Math.Clamp(wanted / rowChunks, 1, m >= 2 * RowUnit ? Math.Max(1, panels / 4) : panels);
        int perChunk = (panels + panelChunks - 1) / panelChunks;
        return new(rows, rowChunks, perChunk, (panels + perChunk - 1) / perChunk);
    }
}
