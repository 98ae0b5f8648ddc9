using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// C [m, n] = A [m, k] · B [k, n] + bias in float32. Each element is one chain of fused multiply-adds with k ascending from 0, then the
/// bias: the same bits on every tier, for any number of threads and rows.
/// </summary>
internal static unsafe class FloatGemm
{
    /// <summary>Rows of a tile: with two vectors of columns, 12 sums in registers.</summary>
    internal const int TileRows = 6;

    /// <summary>Rows that pass over one panel before the next panel is loaded.</summary>
    private const int BlockRows = 16 * TileRows;

    /// <summary>Products of a chunk.</summary>
    private const long ChunkProducts = 1 << 18;

    /// <summary>Nanoseconds of a multiply-add.</summary>
    private const double ProductTime = 0.015;

    /// <summary>Columns of one panel.</summary>
    internal static int PanelWidth(FloatTier tier) => 2 * tier.Lanes;

    /// <summary>Floats that the packed form of B [k, n] takes.</summary>
    public static long PackedCount(FloatTier tier, int k, int n)
    {
        int width = PanelWidth(tier);
        return ((long)n + width - 1) / width * width * k;
    }

    /// <summary>Packs a constant B.</summary>
    /// <param name="b">[k, n], or [n, k] where <paramref name="transposed"/>.</param>
    /// <param name="k">0 or more.</param>
    /// <param name="n">0 or more.</param>
    /// <param name="transposed">True where a column of B lies together.</param>
    /// <param name="tier">Null: <see cref="FloatTier.Best"/>.</param>
    public static FloatWeights Pack(ReadOnlySpan<float> b, int k, int n, bool transposed, FloatTier? tier = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(k);
        ArgumentOutOfRangeException.ThrowIfNegative(n);
        if (b.Length != (long)k * n) throw new ArgumentException($"{b.Length} weights do not fill [{k}, {n}].", nameof(b));
        return new(tier ?? FloatTier.Best, b, k, n, transposed);
    }

    /// <param name="a">[m, k].</param>
    /// <param name="m">Rows, 0 or more.</param>
    /// <param name="b">B.</param>
    /// <param name="bias">n, or empty.</param>
    /// <param name="c">[m, n].</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public static void Multiply(ReadOnlySpan<float> a, int m, FloatWeights b, ReadOnlySpan<float> bias, Span<float> c, int maxThreads)
    {
        Multiply(a, m, b.K, b.N, b.Pointer, b.Tier, bias, c, maxThreads);
        GC.KeepAlive(b);
    }

    /// <summary>Bytes of workspace that <see cref="MultiplyUnpacked"/> takes.</summary>
    public static long WorkspaceBytes(int k, int n) => PackedCount(FloatTier.Best, k, n) * sizeof(float);

    /// <summary>The product with a B that is not constant: packs it first.</summary>
    /// <param name="a">[m, k].</param>
    /// <param name="m">Rows.</param>
    /// <param name="b">[k, n], or [n, k] where <paramref name="transposed"/>.</param>
    /// <param name="k">Columns of A.</param>
    /// <param name="n">Columns of B.</param>
    /// <param name="transposed">True where a column of B lies together.</param>
    /// <param name="bias">n, or empty.</param>
    /// <param name="c">[m, n].</param>
    /// <param name="workspace"><see cref="WorkspaceBytes"/>, starting at a multiple of 64.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public static void MultiplyUnpacked(
        ReadOnlySpan<float> a, int m, ReadOnlySpan<float> b, int k, int n, bool transposed, ReadOnlySpan<float> bias, Span<float> c, Span<byte> workspace, int maxThreads)
    {
        if (workspace.Length < WorkspaceBytes(k, n)) throw new ArgumentException($"{workspace.Length} bytes, {WorkspaceBytes(k, n)} are needed.", nameof(workspace));
        fixed (byte* packed = &MemoryMarshal.GetReference(workspace))
        {
            PackInto(b, k, n, transposed, (float*)packed, FloatTier.Best);
            Multiply(a, m, k, n, (float*)packed, FloatTier.Best, bias, c, maxThreads);
        }
    }

    internal static void PackInto(ReadOnlySpan<float> b, int k, int n, bool transposed, float* packed, FloatTier tier)
    {
        int width = PanelWidth(tier);
        fixed (float* from = b)
        {
            for (int column = 0; column < n; column += width, packed += (long)k * width)
            {
                int columns = Math.Min(width, n - column);
                if (transposed) PackTransposed(from + ((long)column * k), k, columns, packed, width);
                for (int l = 0; l < k; l++)
                {
                    float* row = packed + ((long)l * width);
                    if (!transposed) new ReadOnlySpan<float>(from + ((long)l * n) + column, columns).CopyTo(new Span<float>(row, columns));
                    new Span<float>(row + columns, width - columns).Clear();
                }
            }
        }
    }

    /// <summary>Few steps of k at a time, so that the rows that are written stay in the first-level cache.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackTransposed(float* b, int k, int columns, float* packed, int width)
    {
        const int Block = 16;
        for (int first = 0; first < k; first += Block)
        {
            int count = Math.Min(Block, k - first);
            for (int j = 0; j < columns; j++)
            {
                float* from = b + ((long)j * k) + first, to = packed + ((long)first * width) + j;
                for (int l = 0; l < count; l++, to += width) *to = from[l];
            }
        }
    }

    /// <summary>The product with a B that <see cref="PackInto"/> has packed.</summary>
    internal static void Multiply(
        ReadOnlySpan<float> a, int m, int k, int n, float* packed, FloatTier tier, ReadOnlySpan<float> bias, Span<float> c, int maxThreads)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(m);
        if (a.Length < (long)m * k) throw new ArgumentException($"{a.Length} values do not fill [{m}, {k}].", nameof(a));
        if (c.Length < (long)m * n) throw new ArgumentException($"{c.Length} places do not hold [{m}, {n}].", nameof(c));
        if (!bias.IsEmpty && bias.Length != n) throw new ArgumentException($"{bias.Length} biases for {n} columns.", nameof(bias));
        if (m == 0 || n == 0) return;
        fixed (float* pa = &MemoryMarshal.GetReference(a), pc = &MemoryMarshal.GetReference(c), pb = bias)
        {
            int panels = (n + PanelWidth(tier) - 1) / PanelWidth(tier), blocks = (m + BlockRows - 1) / BlockRows;
            long panelProducts = Math.Max(1, (long)Math.Min(m, BlockRows) * PanelWidth(tier) * k);
            int panelsOfChunk = (int)Math.Clamp(ChunkProducts / panelProducts, 1, panels);
            int columns = (panels + panelsOfChunk - 1) / panelsOfChunk;
            var body = new Body(pa, m, k, n, packed, pb, pc, PanelWidth(tier), panelsOfChunk, columns, FloatTile.For(tier));
            WorkerPool.Run(ref body, blocks * columns, WorkerPool.LanesFor((double)m * n * k * ProductTime, maxThreads));
        }
    }

    private readonly struct Body(
        float* a, int m, int k, int n, float* packed, float* bias, float* c, int width, int panelsOfChunk, int columnChunks, delegate*<FloatTile.Arguments*, void> tile)
        : IParallelBody
    {
        [SkipLocalsInit]
        public void Run(int chunk, int lane)
        {
            int firstRow = chunk / columnChunks * BlockRows, rows = Math.Min(BlockRows, m - firstRow);
            int firstPanel = chunk % columnChunks * panelsOfChunk, column = firstPanel * width;
            FloatTile.Arguments t;
            t.K = k;
            t.Lda = k;
            t.N = n;
            for (int p = 0; p < panelsOfChunk && column < n; p++, column += width)
            {
                t.B = packed + ((long)column * k);
                t.Bias = bias is null ? null : bias + column;
                t.Columns = Math.Min(width, n - column);
                for (int r = 0; r < rows; r += TileRows)
                {
                    t.Rows = Math.Min(TileRows, rows - r);
                    t.A = a + ((long)(firstRow + r) * k);
                    t.C = c + ((long)(firstRow + r) * n) + column;
                    tile(&t);
                }
            }
        }
    }
}
