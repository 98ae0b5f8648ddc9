using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>
/// How a stack of products of two computed matrices falls into chunks for threads, each some rows of one product, and those into blocks
/// that stay in the cache. Depends on shapes alone.
/// </summary>
/// <param name="Count">Products.</param>
/// <param name="M">Rows of each.</param>
/// <param name="RowChunks">Chunks of one product.</param>
/// <param name="ChunkRows">Rows of a chunk; the last has what remains.</param>
/// <param name="BlockRows">Rows of a block.</param>
/// <param name="Lanes">Threads that may be at work.</param>
internal sealed record PairGrid(int Count, int M, int RowChunks, int ChunkRows, int BlockRows, int Lanes)
{
    /// <summary>Multiply-adds for which waking another thread pays.</summary>
    private const double SharedProducts = 1 << 19;

    /// <summary>Chunks that make threads end at about the same time.</summary>
    private const int EnoughChunks = 8;

    /// <summary>Each chunk packs the right factor anew, which this many rows pay for.</summary>
    private const int LeastRows = 48;

    private const int BlockValues = 1 << 14;

    public int Chunks => Count * RowChunks;

    /// <param name="count">Products.</param>
    /// <param name="m">Rows of each.</param>
    /// <param name="rowProducts">Multiply-adds of a row.</param>
    /// <param name="rowValues">Values that a row of a block takes.</param>
    public static PairGrid For(int count, int m, long rowProducts, int rowValues)
    {
        bool shared = (double)count * m * rowProducts >= SharedProducts;
        int rowChunks = !shared || count >= EnoughChunks || count == 0 ? 1 : Math.Clamp(m / LeastRows, 1, (EnoughChunks + count - 1) / count);
        int chunkRows = Math.Max(1, (m + rowChunks - 1) / rowChunks), most = Math.Clamp(BlockValues / Math.Max(1, rowValues) / LeastRows * LeastRows, LeastRows, 4 * LeastRows);
        int blocks = (chunkRows + most - 1) / most;
        return new(count, m, rowChunks, chunkRows, (chunkRows + blocks - 1) / blocks, shared && count * rowChunks > 1 ? Math.Min(WorkerPool.LaneCount, count * rowChunks) : 1);
    }

    /// <summary>The product of a chunk, its first row and the one behind its last.</summary>
    public (int Product, int Row, int RowEnd) Rows(int chunk)
    {
        var (product, part) = Math.DivRem(chunk, RowChunks);
        return (product, Math.Min(M, part * ChunkRows), Math.Min(M, (part + 1) * ChunkRows));
    }
}
