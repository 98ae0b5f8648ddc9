using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MLNet.Quantization.Kernels;

/// <summary>What the three prepared products share: constants by column, tile functions, and the walk over blocks, panels and tiles.</summary>
internal abstract unsafe class Int8Product
{
    /// <summary>Up to here Σ u8 · s8 fits int32 whatever the codes: 65,793 · 255 · 128 = 2,147,483,520.</summary>
    public const int MaxExactK = 65793;

    /// <summary>Activations of a block stay in the second-level cache while all panels pass.</summary>
    private const int BlockBytes = 640 << 10;

    private const int MostDirectRows = 5;

    /// <summary>No tile has more rows.</summary>
    private const int MostRows = 16;

    private readonly AlignedBuffer _constants;
    private readonly nint[] _tiles = new nint[2 * 5 * MostRows];

    /// <summary>Up to so many rows a product is one tile high, reads activations in place and stays on one thread: <see cref="RunDirectly"/>.</summary>
    private readonly int _directRows;

    /// <summary>Up to so many rows a product is one tile high and reads activations in place.</summary>
    private readonly int _tileRows;

    /// <param name="weights">w [k, n].</param>
    /// <param name="stage">What comes out.</param>
    /// <param name="offsets">n: added to the sums of the codes.</param>
    /// <param name="scales">n, or empty where the stage has none.</param>
    /// <param name="bias">n, or empty.</param>
    protected Int8Product(Int8Weights weights, OutputStage stage, ReadOnlySpan<int> offsets, ReadOnlySpan<float> scales, ReadOnlySpan<float> bias)
    {
        Weights = weights;
        Stage = stage;
        int padded = weights.PaddedN;
        _constants = new AlignedBuffer(4L * 4 * padded);
        var values = new Span<int>(_constants.Pointer, 4 * padded);
        for (int j = 0; j < weights.N; j++) values[j] = unchecked(offsets[j] + weights.Kernel.FormOffset(weights.ColumnSums[j]));
        scales.CopyTo(MemoryMarshal.Cast<int, float>(values[padded..]));
        bias.CopyTo(MemoryMarshal.Cast<int, float>(values[(2 * padded)..]));
        weights.ColumnSums.CopyTo(values[(3 * padded)..]);
        if (weights.N == 0 || IsLong || weights.K % weights.Kernel.GroupSize != 0) return;
        while (_tileRows < MostDirectRows && IsOneTile(_tileRows + 1)) _tileRows++;
        while (_directRows < _tileRows && ProductGrid.Time(_directRows + 1, weights) < DirectTime) _directRows++;
    }

    public Int8Weights Weights { get; }

    internal OutputStage Stage { get; }

    /// <summary>bias - Za · Σw for each column, modulo 2^32.</summary>
    protected static int[] OffsetsOf(Int8Weights weights, int zeroPoint, ReadOnlySpan<int> bias)
    {
        if (bias.Length != 0 && bias.Length != weights.N) throw new ArgumentException($"{bias.Length} biases for {weights.N} columns.", nameof(bias));
        ArgumentOutOfRangeException.ThrowIfLessThan(zeroPoint, 0);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(zeroPoint, 255);
        var offsets = new int[weights.N];
        for (int j = 0; j < offsets.Length; j++) offsets[j] = unchecked((bias.IsEmpty ? 0 : bias[j]) - (zeroPoint * weights.ColumnSums[j]));
        return offsets;
    }

    /// <summary>What is added to the int64 sum of a column, where <see cref="IsLong"/>.</summary>
    internal virtual long LongOffset(int column) => 0;

    /// <summary>True where sums go through int64.</summary>
    protected bool IsLong => Weights.K > MaxExactK && Stage != OutputStage.Int32;

    /// <summary>Scratch memory for <paramref name="m"/> rows; with less (but at least one thread's), fewer threads work.</summary>
    public long WorkspaceBytes(int m)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(m);
        if (m == 0) return 0;
        long lane = LaneBytes(m);
        return lane == 0 ? 0 : AlignedBuffer.Alignment + (lane * Math.Min(WorkerPool.LaneCount, MostLanes(m)));
    }

    /// <summary>Nanoseconds of a product that is done before it is known how to spread it.</summary>
    private const double DirectTime = 4000;

    /// <summary>Nanoseconds of a lane's part at least.</summary>
    private const double LeastLaneTime = 500;

    private bool IsOneTile(int m) =>
        !CopiesBlock(m, Weights.Panels.Length, Weights.K) && Weights.Panels.All(p => Weights.Kernel.MaxRows(p.Vectors) >= m);

    /// <summary>Lanes that scratch memory is asked for.</summary>
    private int MostLanes(int m) => IsLong ? LongSums.Chunks(m) : (int)Math.Max(WorkerPool.IsEager ? WorkerPool.LaneCount : 1, ProductGrid.Time(m, Weights) / LeastLaneTime);

    private long LaneBytes(int m)
    {
        if (IsLong) return LongSums.LaneBytes(m, Weights);
        var kernel = Weights.Kernel;
        int rows = BlockRows(m);
        if (!CopiesBlock(rows, Weights.Panels.Length, Weights.K)) rows = Weights.K % kernel.GroupSize == 0 ? 0 : Math.Min(rows, MostRows);
        return rows * ActivationRows.Stride(kernel, Weights.K);
    }

    /// <summary>Rows whose activations make up a block.</summary>
    private int BlockRows(int rows)
    {
        long most = Math.Max(24, BlockBytes / Math.Max(1, (long)Weights.K * Weights.Kernel.ActivationBytes) / 24 * 24);
        return rows <= most + (most / 4) ? rows : (int)most;
    }

    /// <summary>Also where rows are shorter than a group: then not only the last one would be read past the end.</summary>
    private bool CopiesBlock(int rows, int panels, long lda) =>
        Weights.Kernel.Form != ActivationForm.Bytes || lda < Weights.Kernel.GroupSize || (lda % 512 == 0 && rows >= 6 && panels >= 6);

    protected void Check(long a, int m, long c, Span<byte> workspace, out int lanes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(m);
        if (a < (long)m * Weights.K) throw new ArgumentException($"{a} activations do not fill [{m}, {Weights.K}].", nameof(a));
        if (c < (long)m * Weights.N) throw new ArgumentException($"The output holds {c} elements, needed is [{m}, {Weights.N}].", nameof(c));
        long lane = m <= _directRows ? 0 : LaneBytes(m);
        lanes = lane == 0 ? int.MaxValue : (int)Math.Min(int.MaxValue, (workspace.Length - AlignedBuffer.Alignment) / lane);
        if (lanes < 1) throw new ArgumentException($"The workspace holds {workspace.Length} bytes, needed are {WorkspaceBytes(m)}.", nameof(workspace));
    }

    /// <summary>Computes the whole product. The template has A, Lda, C, Ldc, the row fields and the clamp.</summary>
    private protected void Run(ref TileArguments template, int m, byte* workspace, int lanes, int maxThreads)
    {
        if (m == 0 || Weights.N == 0) return;
        SetConstants(ref template);
        byte* scratch = (byte*)(((nint)workspace + AlignedBuffer.Alignment - 1) & -AlignedBuffer.Alignment);
        if (m <= _directRows)
        {
            RunDirectly(ref template, m);
        }
        else if (IsLong)
        {
            LongSums.Run(this, template, m, scratch, lanes, maxThreads);
        }
        else
        {
            int spread = Math.Min(lanes, WorkerPool.LanesFor(ProductGrid.Time(m, Weights), maxThreads));
            var grid = ProductGrid.For(m, Weights, spread);
            if (grid.Chunks == 1 && m <= _tileRows)
            {
                RunDirectly(ref template, m);
            }
            else if (grid.Chunks == 1)
            {
                Rectangle(template, 0, m, 0, Weights.Panels.Length, m, scratch);
            }
            else
            {
                var body = new Body(this, template, grid, m, scratch, LaneBytes(m));
                WorkerPool.Run(ref body, grid.Chunks, spread);
            }
        }
        GC.KeepAlive(this);
    }

    private void SetConstants(ref TileArguments template)
    {
        var constants = (int*)_constants.Pointer;
        int padded = Weights.PaddedN;
        template.Offsets = constants;
        template.Scales = (float*)(constants + padded);
        template.Bias = (float*)(constants + (2 * padded));
        template.ColumnSums = constants + (3 * padded);
        template.Stage = Stage;
    }

    /// <summary>
    /// Some rows whose activations lie as <see cref="ActivationRows"/> would have copied them; the last panels first, where
    /// <paramref name="fromEnd"/> says so. Keeps the object alive no longer than the caller does.
    /// </summary>
    private protected void RunCopied(ref TileArguments template, int rows, bool fromEnd, int maxThreads)
    {
        SetConstants(ref template);
        int lanes = rows <= _directRows || maxThreads == 1 ? 1 : WorkerPool.LanesFor(ProductGrid.Time(rows, Weights), maxThreads);
        if (lanes > 1)
        {
            var body = new CopiedBody(this, template, rows, lanes, fromEnd);
            WorkerPool.Run(ref body, lanes, lanes);
        }
        else if (rows <= _tileRows) RunDirectly(ref template, rows, fromEnd);
        else Block(template, 0, rows, 0, Weights.Panels.Length, int.MaxValue, null, fromEnd);
    }

    /// <summary>Panels of one lane: those that it had in the last call, so that its core's cache may still hold them.</summary>
    private readonly struct CopiedBody(Int8Product product, TileArguments template, int rows, int lanes, bool fromEnd) : IParallelBody
    {
        public void Run(int chunk, int lane)
        {
            int panels = product.Weights.Panels.Length;
            product.Block(template, 0, rows, panels * chunk / lanes, panels * (chunk + 1) / lanes, int.MaxValue, null, fromEnd);
        }
    }

    /// <summary>A single prediction on a small layer takes tens of nanoseconds: no grid, no blocks, no copies.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void RunDirectly(ref TileArguments template, int m, bool fromEnd = false)
    {
        int size = Stage == OutputStage.Requantized ? 1 : 4;
        bool native = Weights.Kernel.IsNative;
        sbyte* weights = Weights.Pointer;
        var panels = Weights.Panels;
        byte* c = template.C;
        int* offsets = template.Offsets, sums = template.ColumnSums;
        float* scales = template.Scales, bias = template.Bias;
        template.Groups = Weights.Groups;
        fixed (TileArguments* t = &template)
        {
            for (int i = 0; i < panels.Length; i++)
            {
                ref readonly var p = ref panels[fromEnd ? panels.Length - 1 - i : i];
                t->B = weights + p.Offset;
                t->Columns = p.Columns;
                t->LastVectorMask = p.LastVectorMask;
                t->C = c + ((long)p.Column * size);
                t->Offsets = offsets + p.Column;
                t->Scales = scales + p.Column;
                t->Bias = bias + p.Column;
                t->ColumnSums = sums + p.Column;
                Int8Kernel.Call(TileOf(p.Vectors, m), native, t);
            }
        }
    }

    private readonly struct Body(Int8Product product, TileArguments template, ProductGrid grid, int m, byte* scratch, long laneBytes) : IParallelBody
    {
        public void Run(int chunk, int lane)
        {
            int row = chunk % grid.RowChunks * grid.RowsPerChunk, panel = chunk / grid.RowChunks * grid.PanelsPerChunk;
            int rowEnd = Math.Min(m, row + grid.RowsPerChunk), panelEnd = Math.Min(product.Weights.Panels.Length, panel + grid.PanelsPerChunk);
            product.Rectangle(template, row, rowEnd, panel, panelEnd, m, scratch + (lane * laneBytes));
        }
    }

    /// <summary>Rows times panels, block by block.</summary>
    private void Rectangle(in TileArguments template, int row, int rowEnd, int panel, int panelEnd, int m, byte* scratch)
    {
        int block = BlockRows(rowEnd - row);
        for (; row < rowEnd; row += block) Block(template, row, Math.Min(block, rowEnd - row), panel, panelEnd, m, scratch);
    }

    /// <summary>One block; without <paramref name="scratch"/> its activations need no copy.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Block(in TileArguments template, int row, int rows, int panel, int panelEnd, int m, byte* scratch, bool fromEnd = false)
    {
        var kernel = Weights.Kernel;
        var t = template;
        long lda = template.Lda, stride = ActivationRows.Stride(kernel, Weights.K);
        byte* a = template.A + (row * lda);
        byte* last = a;
        int lastFrom = rows; // tiles that end at the block's end read rows from here on through the copy
        if (scratch != null && CopiesBlock(rows, Weights.Panels.Length, lda))
        {
            ActivationRows.Copy(kernel, a, lda, rows, Weights.K, scratch, stride);
            a = scratch;
            lda = stride;
        }
        else if (row + rows == m && Weights.K % kernel.GroupSize != 0)
        {
            // The last row's last group would be read past the end of the activations.
            lastFrom = Math.Max(0, rows - MostRows);
            ActivationRows.Copy(kernel, a + (lastFrom * lda), lda, rows - lastFrom, Weights.K, scratch, stride);
            last = scratch;
        }
        int size = Stage == OutputStage.Requantized ? 1 : 4;
        t.Groups = Weights.Groups;
        bool native = kernel.IsNative;
        for (int i = panel; i < panelEnd; i++)
        {
            ref readonly var p = ref Weights.Panels[fromEnd ? panel + panelEnd - 1 - i : i];
            t.B = Weights.Pointer + p.Offset;
            t.Columns = p.Columns;
            t.LastVectorMask = p.LastVectorMask;
            t.Offsets = template.Offsets + p.Column;
            t.Scales = template.Scales + p.Column;
            t.Bias = template.Bias + p.Column;
            t.ColumnSums = template.ColumnSums + p.Column;
            int most = kernel.MaxRows(p.Vectors), tiles = (rows + most - 1) / most, height = rows / tiles, extra = rows % tiles;
            for (int r = 0; r < rows;)
            {
                int tileRows = extra-- > 0 ? height + 1 : height;
                bool copied = lastFrom < rows && r + tileRows == rows;
                t.A = copied ? last + ((r - lastFrom) * stride) : a + (r * lda);
                t.Lda = copied ? stride : lda;
                t.C = template.C + ((row + r) * template.Ldc) + ((long)p.Column * size);
                t.RowScales = (float*)((byte*)template.RowScales + ((row + r) * template.RowScaleStep));
                t.RowZeroPoints = (int*)((byte*)template.RowZeroPoints + ((row + r) * template.RowZeroPointStep));
                Int8Kernel.Call(TileOf(p.Vectors, tileRows), native, &t);
                r += tileRows;
            }
        }
    }

    /// <summary>The fields of a tile that the stage reads and that are the same for all columns.</summary>
    internal virtual void SetStage(ref TileArguments t)
    {
    }

    /// <summary>
    /// On this thread, rows in lines: the row after <paramref name="length"/> of them lies elsewhere. Activations are in the kernel's form,
    /// readable up to whole groups.
    /// </summary>
    /// <param name="template">A and C of the first line, Lda, Ldc, the row fields with steps of 0, the clamp, Jumps and SegmentGroups.</param>
    /// <param name="lines">Lines.</param>
    /// <param name="lineA">Bytes from one line of activations to the next.</param>
    /// <param name="lineC">Bytes from one line of the output to the next.</param>
    /// <param name="length">Rows of a line.</param>
    /// <param name="panel">First panel of weights.</param>
    /// <param name="panelEnd">After the last.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal void RunLines(in TileArguments template, int lines, long lineA, long lineC, int length, int panel, int panelEnd)
    {
        if (IsLong) throw new NotSupportedException($"Sums over {Weights.K} products in segments are not exact in int32.");
        var t = template;
        SetConstants(ref t);
        var constants = t;
        int size = Stage == OutputStage.Requantized ? 1 : 4;
        bool native = Weights.Kernel.IsNative, segmented = template.Jumps != null;
        t.Groups = Weights.Groups;
        foreach (ref readonly var p in Weights.Panels.AsSpan(panel, panelEnd - panel))
        {
            t.B = Weights.Pointer + p.Offset;
            t.Columns = p.Columns;
            t.LastVectorMask = p.LastVectorMask;
            t.Offsets = constants.Offsets + p.Column;
            t.Scales = constants.Scales + p.Column;
            t.Bias = constants.Bias + p.Column;
            t.ColumnSums = constants.ColumnSums + p.Column;
            int most = Weights.Kernel.MaxRows(p.Vectors), tiles = (length + most - 1) / most, height = length / tiles, higher = length % tiles;
            for (int line = 0; line < lines; line++)
            {
                t.A = template.A + (line * lineA);
                t.C = template.C + (line * lineC) + ((long)p.Column * size);
                for (int tile = 0; tile < tiles; tile++)
                {
                    int rows = tile < higher ? height + 1 : height;
                    t.Jumps = template.Jumps;
                    Int8Kernel.Call(TileOf(p.Vectors, rows, segmented), native, &t);
                    t.A += rows * t.Lda;
                    t.C += rows * t.Ldc;
                }
            }
        }
        GC.KeepAlive(this);
    }

    private nint TileOf(int vectors, int rows, bool segmented = false)
    {
        ref nint tile = ref _tiles[(((segmented ? 5 : 0) + vectors) * MostRows) + rows - 1 - MostRows];
        if (tile == 0) tile = Weights.Kernel.Tile(Stage, vectors, rows, segmented);
        return tile;
    }
}
