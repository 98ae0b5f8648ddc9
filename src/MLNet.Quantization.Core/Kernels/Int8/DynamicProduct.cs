using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// Float rows in, float rows out: each row of x is quantized by its own range (<see cref="RowQuantizer"/>) and multiplied
/// (<see cref="FloatProduct"/>, whose bytes these are). Where the rows fall into blocks, a block's codes are made right before its product,
/// and so are still in the cache. Immutable, for any number of threads.
/// </summary>
internal sealed unsafe class DynamicProduct
{
    /// <summary>Codes of a block: they share the second-level cache with the weights that pass.</summary>
    private const int BlockBytes = 128 << 10;

    /// <summary>Fits tiles of 6, 8 and 12 rows.</summary>
    private const int RowUnit = 24;

    private const int MostSmallRows = 4;

    /// <summary>Nanoseconds of a product that is done before it is known how to spread it.</summary>
    private const double SmallTime = 4000;

    /// <summary>Nanoseconds of a value that is quantized.</summary>
    private const double ValueTime = 0.15;

    private readonly FloatProduct _product;

    /// <summary>Up to so many rows are one block: known beforehand, since a small product takes less time than to find out.</summary>
    private readonly int _smallRows;

    /// <param name="weights">w [k, n].</param>
    /// <param name="columnScales">Sw: n, or 1 for all columns.</param>
    /// <param name="bias">n, or empty for none.</param>
    public DynamicProduct(Int8Weights weights, ReadOnlySpan<float> columnScales, ReadOnlySpan<float> bias)
    {
        _product = new(weights, columnScales, bias);
        while (_smallRows < MostSmallRows && Time(_smallRows + 1) < SmallTime && IsBlocked(_smallRows + 1, 1) && BlockRows(_smallRows + 1, 1) == _smallRows + 1) _smallRows++;
    }

    private Int8Weights Weights => _product.Weights;

    /// <summary>Bytes from one row of codes to the next.</summary>
    private long Stride => ActivationRows.Stride(Weights.Kernel, Weights.K);

    /// <summary>Scratch memory for <paramref name="m"/> rows; with less (but at least one thread's), fewer threads work.</summary>
    public long WorkspaceBytes(int m)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(m);
        if (m == 0) return 0;
        long most = 0;
        for (int lanes = 1; lanes <= WorkerPool.LaneCount; lanes++) most = Math.Max(most, BytesFor(m, lanes));
        return most;
    }

    private long BytesFor(int m, int lanes)
    {
        if (!IsBlocked(m, lanes)) return RowBytes(m) + AlignedBuffer.Align((long)m * Weights.K) + _product.WorkspaceBytes(m) + AlignedBuffer.Alignment;
        int rows = BlockRows(m, lanes);
        return AlignedBuffer.Alignment + (LaneBytes(rows) * Math.Min(lanes, Blocks(m, rows)));
    }

    private double Time(int m) => ProductGrid.Time(m, Weights) + (ValueTime * m * Weights.K);

    /// <param name="x">[m, k].</param>
    /// <param name="m">0 or more.</param>
    /// <param name="c">[m, n].</param>
    /// <param name="workspace"><see cref="WorkspaceBytes"/>.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public void Run(ReadOnlySpan<float> x, int m, Span<float> c, Span<byte> workspace, int maxThreads)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(m);
        int k = Weights.K, n = Weights.N;
        if (x.Length < (long)m * k) throw new ArgumentException($"{x.Length} values do not fill [{m}, {k}].", nameof(x));
        if (c.Length < (long)m * n) throw new ArgumentException($"The output holds {c.Length} elements, needed is [{m}, {n}].", nameof(c));
        if (m == 0 || n == 0) return;
        fixed (float* px = x, pc = c)
        fixed (byte* work = workspace)
        {
            byte* scratch = (byte*)(((nint)work + AlignedBuffer.Alignment - 1) & -AlignedBuffer.Alignment);
            long bytes = workspace.Length - (scratch - work);
            if (m <= _smallRows)
            {
                if (bytes < LaneBytes(m)) throw TooSmall(workspace.Length, m);
                Block(px, m, pc, scratch);
            }
            else
            {
                int lanes = WorkerPool.LanesFor(Time(m), maxThreads);
                if (IsBlocked(m, lanes)) Blocks(px, m, pc, scratch, bytes, lanes);
                else Whole(px, m, pc, new(scratch, (int)Math.Max(0, bytes)), lanes);
            }
        }
        GC.KeepAlive(this);
    }

    /// <summary>
    /// True where each block of rows meets all weights on one thread. A few rows on many weights are spread over threads by columns
    /// instead, and sums beyond int32 and kernels that want other than bytes take the longer way too.
    /// </summary>
    private bool IsBlocked(int m, int lanes) =>
        Weights.Kernel.Form == ActivationForm.Bytes && Weights.K is > 0 and <= Int8Product.MaxExactK && ProductGrid.For(m, Weights, lanes).PanelChunks == 1;

    private int BlockRows(int m, int lanes)
    {
        int most = Math.Max(1, BlockBytes / Weights.K / RowUnit) * RowUnit;
        return Math.Min(m, Math.Min(most, ProductGrid.For(m, Weights, lanes).RowsPerChunk));
    }

    private void Blocks(float* x, int m, float* c, byte* scratch, long bytes, int lanes)
    {
        int rows = BlockRows(m, lanes);
        long fitting = bytes / LaneBytes(rows);
        if (fitting < 1) throw TooSmall((int)bytes, m);
        var body = new Body(this, x, m, rows, c, scratch);
        WorkerPool.Run(ref body, Blocks(m, rows), (int)Math.Min(lanes, fitting));
    }

    private static int Blocks(int m, int rows) => (int)(((long)m + rows - 1) / rows);

    private long LaneBytes(int rows) => RowBytes(rows) + (rows * Stride);

    /// <summary>Scales and zero points.</summary>
    private static long RowBytes(int rows) => 2 * AlignedBuffer.Align(4L * rows);

    private ArgumentException TooSmall(int bytes, int m) =>
        new($"The workspace holds {bytes} bytes, needed are {WorkspaceBytes(m)}.", "workspace");

    private readonly struct Body(DynamicProduct product, float* x, int m, int blockRows, float* c, byte* scratch) : IParallelBody
    {
        public void Run(int chunk, int lane)
        {
            int row = chunk * blockRows;
            product.Block(x + ((long)row * product.Weights.K), Math.Min(blockRows, m - row), c + ((long)row * product.Weights.N), scratch + (lane * product.LaneBytes(blockRows)));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Block(float* x, int rows, float* c, byte* scratch)
    {
        int k = Weights.K, padding = (int)(Weights.Groups * Weights.Kernel.GroupSize) - k;
        long stride = Stride;
        float* scales = (float*)scratch;
        int* zeroPoints = (int*)(scratch + AlignedBuffer.Align(4L * rows));
        byte* codes = scratch + RowBytes(rows), rest = codes + k;
        RowQuantizer.Rows(x, k, rows, k, codes, stride, scales, zeroPoints);
        for (int i = 0; i < rows && padding > 0; i++, rest += stride) new Span<byte>(rest, padding).Clear();
        _product.RunCopied(codes, rows, scales, zeroPoints, 4, c, fromEnd: false, maxThreads: 1);
    }

    private void Whole(float* x, int m, float* c, Span<byte> scratch, int maxThreads)
    {
        int k = Weights.K, n = Weights.N;
        long codesAt = RowBytes(m), restAt = codesAt + AlignedBuffer.Align((long)m * k);
        if (scratch.Length < restAt) throw TooSmall(scratch.Length, m);
        fixed (byte* p = scratch)
        {
            var codes = new Span<byte>(p + codesAt, m * k);
            var scales = new Span<float>(p, m);
            var zeroPoints = new Span<int>(p + AlignedBuffer.Align(4L * m), m);
            RowQuantizer.Quantize(new(x, m * k), m, k, codes, scales, zeroPoints, maxThreads);
            _product.Run(codes, m, scales, zeroPoints, new(c, m * n), scratch[(int)restAt..], maxThreads);
        }
    }
}
