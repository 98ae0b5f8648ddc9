using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Recurrent;

/// <summary>
/// The tensors of one run of a recurrent layer, and the walk of some rows in one direction over the steps. A row whose sequence has ended
/// drops out: rows are kept in the order of their lengths, longest first. The inputs of some steps are multiplied together, as many as
/// stay in the cache until their steps come.
/// </summary>
internal unsafe struct RecurrentRun
{
    /// <summary>Sums of a block of steps.</summary>
    private const int BlockBytes = 256 << 10;

    public RecurrentLayout Layout;

    public int XRowBytes;

    public bool HasCell;

    /// <summary>Of one product: more than 1 where this is the only walk.</summary>
    public int MaxThreads;

    /// <summary>x as <see cref="Layout"/> says.</summary>
    public byte* X;

    /// <summary>By row of the batch; null: all as long as x.</summary>
    public int* Lengths;

    /// <summary>What the run begins with, or null for zeros.</summary>
    public float* State, Cell;

    /// <summary>Results, null where nobody reads them.</summary>
    public float* Y, LastState, LastCell;

    /// <summary>Memory for <see cref="Run"/>, starting at a multiple of 64.</summary>
    public static long Bytes(RecurrentCell cell, int steps, int rows)
    {
        int block = BlockSteps(cell, steps, rows), slots = block * rows;
        return AlignedBuffer.Align(8L * rows) + (2 * AlignedBuffer.Align(4L * rows * cell.Width)) + AlignedBuffer.Align(4L * slots * cell.Input.N) + AlignedBuffer.Align(cell.Input.SlotBytes(slots)) + AlignedBuffer.Align(cell.ScratchBytes(rows));
    }

    /// <param name="cell">The direction's cell.</param>
    /// <param name="direction">0 or 1.</param>
    /// <param name="isReverse">From the last step to the first.</param>
    /// <param name="first">First row of the batch.</param>
    /// <param name="rows">1 to <paramref name="capacity"/>.</param>
    /// <param name="capacity">Rows that the memory is for.</param>
    /// <param name="memory"><see cref="Bytes"/> of <paramref name="capacity"/>.</param>
    public readonly void Run(RecurrentCell cell, int direction, bool isReverse, int first, int rows, int capacity, byte* memory)
    {
        // Fewer rows must not make longer blocks: the memory would not hold them.
        int steps = Layout.Steps, block = BlockSteps(cell, steps, capacity), slots = block * rows, hidden = cell.Hidden, sumsOfRow = cell.Input.N;
        // A key is a row's length, longest first, and its number in the batch.
        var keys = (long*)Take(ref memory, 8L * rows);
        float* state = (float*)Take(ref memory, 4L * rows * cell.Width), cells = (float*)Take(ref memory, 4L * rows * cell.Width);
        float* sums = (float*)Take(ref memory, 4L * slots * sumsOfRow);
        byte* inputs = Take(ref memory, cell.Input.SlotBytes(slots));
        if (!HasCell) cells = null;
        for (int i = 0; i < rows; i++) keys[i] = ((long)(steps - LengthOf(first + i)) << 32) | (uint)(first + i);
        new Span<long>(keys, rows).Sort();
        Begin(keys, rows, direction, cell, State, state);
        if (cells != null) Begin(keys, rows, direction, cell, Cell, cells);
        ClearEnds(keys, rows, direction, hidden);

        int active = rows;
        for (int start = 0; start < steps; start += block)
        {
            int end = Math.Min(steps, start + block), taken = PutInputs(cell.Input, keys, start, end, isReverse, active, inputs, slots);
            if (taken == 0) break;
            cell.Input.Run(taken, inputs, slots, sums, fromEnd: false, MaxThreads);
            float* at = sums;
            for (int step = start; step < end; step++)
            {
                active = ActiveAt(step, keys, active);
                if (active == 0) break;
                cell.Advance(active, rows, at, state, cells, memory, fromEnd: (step & 1) != 0, MaxThreads);
                at += (long)active * sumsOfRow;
                if (Y != null) TakeOutputs(state, cell, keys, step, isReverse, active, direction);
            }
        }
        for (int i = 0; i < rows; i++)
        {
            long to = Layout.State(RowOf(keys[i]), direction) * hidden;
            if (LastState != null) Copy(state + ((long)i * cell.Width), LastState + to, hidden);
            if (LastCell != null) Copy(cells + ((long)i * cell.Width), LastCell + to, hidden);
        }
    }

    /// <summary>The inputs of the steps from <paramref name="start"/> on, slot after slot; how many there are.</summary>
    private readonly int PutInputs(RowProduct product, long* keys, int start, int end, bool isReverse, int rows, byte* inputs, int slots)
    {
        if (Lengths == null && rows == 1)
        {
            // The rows of all steps lie at one distance: one call.
            long stride = (Layout.X(1, 0) - Layout.X(0, 0)) * XRowBytes;
            product.Put(Row(X, Time(keys[0], start, isReverse), RowOf(keys[0])), isReverse ? -stride : stride, end - start, 0, inputs, slots);
            return end - start;
        }
        int slot = 0;
        for (int step = start; step < end; step++)
        {
            rows = ActiveAt(step, keys, rows);
            PutInputs(product, keys, step, isReverse, rows, slot, inputs, slots);
            slot += rows;
        }
        return slot;
    }

    /// <summary>The inputs of a step, in the order of the keys: where no row is shorter than another, that is the order of the batch.</summary>
    private readonly void PutInputs(RowProduct product, long* keys, int step, bool isReverse, int rows, int slot, byte* inputs, int slots)
    {
        if (rows == 0) return;
        int time = Time(keys[0], step, isReverse), first = RowOf(keys[0]);
        if (Lengths == null) product.Put(Row(X, time, first), (Layout.X(time, 1) - Layout.X(time, 0)) * XRowBytes, rows, slot, inputs, slots);
        else
            for (int i = 0; i < rows; i++) product.Put(Row(X, Time(keys[i], step, isReverse), RowOf(keys[i])), 0, 1, slot + i, inputs, slots);
    }

    /// <summary>The states after a step, to Y.</summary>
    private readonly void TakeOutputs(float* state, RecurrentCell cell, long* keys, int step, bool isReverse, int rows, int direction)
    {
        int hidden = cell.Hidden;
        if (Lengths != null)
        {
            for (int i = 0; i < rows; i++) Copy(state + ((long)i * cell.Width), YRow(Time(keys[i], step, isReverse), RowOf(keys[i]), direction, hidden), hidden);
            return;
        }
        float* to = YRow(Time(keys[0], step, isReverse), RowOf(keys[0]), direction, hidden);
        long stride = (Layout.Y(0, 1, 0) - Layout.Y(0, 0, 0)) * hidden;
        if (stride == hidden && cell.Width == hidden) Copy(state, to, rows * hidden);
        else
            for (int i = 0; i < rows; i++) Copy(state + ((long)i * cell.Width), to + (i * stride), hidden);
    }

    private static int BlockSteps(RecurrentCell cell, int steps, int rows) => (int)Math.Clamp(BlockBytes / (4L * Math.Max(1, rows) * cell.Input.N), 1, Math.Max(1, steps));

    private readonly int LengthOf(int row) => Lengths == null ? Layout.Steps : Lengths[row];

    private readonly int LengthOf(long key) => Layout.Steps - (int)(key >> 32);

    private static int RowOf(long key) => (int)key;

    /// <summary>Rows that have a step of that number, which is not above that of the last call.</summary>
    private readonly int ActiveAt(int step, long* keys, int active)
    {
        while (active > 0 && LengthOf(keys[active - 1]) <= step) active--;
        return active;
    }

    private readonly int Time(long key, int step, bool isReverse) => isReverse ? LengthOf(key) - 1 - step : step;

    private readonly byte* Row(byte* x, int time, int row) => x + (Layout.X(time, row) * XRowBytes);

    private readonly float* YRow(int time, int row, int direction, int hidden) => Y + (Layout.Y(time, row, direction) * hidden);

    private readonly void Begin(long* keys, int rows, int direction, RecurrentCell cell, float* from, float* to)
    {
        new Span<float>(to, rows * cell.Width).Clear();
        for (int i = 0; i < rows && from != null; i++) Copy(from + (Layout.State(RowOf(keys[i]), direction) * cell.Hidden), to + ((long)i * cell.Width), cell.Hidden);
    }

    /// <summary>Y is 0 behind the end of a sequence.</summary>
    private readonly void ClearEnds(long* keys, int rows, int direction, int hidden)
    {
        if (Y == null) return;
        for (int i = 0; i < rows; i++)
            for (int time = LengthOf(keys[i]); time < Layout.Steps; time++) new Span<float>(YRow(time, RowOf(keys[i]), direction, hidden), hidden).Clear();
    }

    private static void Copy(float* from, float* to, int count) => new ReadOnlySpan<float>(from, count).CopyTo(new Span<float>(to, count));

    private static byte* Take(ref byte* memory, long bytes)
    {
        byte* taken = memory;
        memory += AlignedBuffer.Align(bytes);
        return taken;
    }
}
