using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Recurrent;

/// <summary>One prepared cell for each direction, made from what a run's inputs hold.</summary>
internal delegate RecurrentCell[] CellFactory(in StepContext context);

/// <summary>
/// Runs the cells of a recurrent layer over the time steps. Directions and groups of rows are spread over threads; each group goes through
/// all steps by itself (<see cref="RecurrentRun"/>).
/// </summary>
internal sealed unsafe class RecurrentStep : Step
{
    /// <summary>Products for which waking another thread pays.</summary>
    private const long ThreadProducts = 1 << 20;

    private readonly PrepareContext _node;
    private readonly RecurrentForm _form;
    private readonly RecurrentInputs _at;
    private readonly RecurrentCell[]? _cells;
    private readonly CellFactory? _make;

    /// <param name="node">The node.</param>
    /// <param name="form">Its attributes.</param>
    /// <param name="at">Where its inputs are.</param>
    /// <param name="cells">One a direction; null where weights are computed: then they are packed anew for each run, which allocates.</param>
    /// <param name="make">Makes the cells where there are none.</param>
    public RecurrentStep(PrepareContext node, RecurrentForm form, RecurrentInputs at, RecurrentCell[]? cells, CellFactory? make)
    {
        _node = node;
        _form = form;
        _at = at;
        _cells = cells;
        _make = make;
    }

    public override bool ReadsAtRun(int input) => _cells is null || input == 0 || input == _at.Lengths || input == _at.State || _form.IsLstm && input == _at.Cell;

    /// <param name="Steps">T.</param>
    /// <param name="Batch">B.</param>
    /// <param name="Products">Of one direction.</param>
    private sealed record Extents(int Steps, int Batch, long Products);

    public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
    {
        int[] x = inputs[0]!.Dims, r = inputs[2]!.Dims;
        int steps = x[_form.BatchFirst ? 1 : 0], batch = x[_form.BatchFirst ? 0 : 1];
        var extents = new Extents(steps, batch, (long)steps * batch * (x[2] + r[2]) * r[1]);
        if (_cells is null) return new(0, extents);
        long most = 0;
        for (int threads = 1; threads <= WorkerPool.LaneCount; threads++) most = Math.Max(most, Bytes(_cells, extents, threads));
        return new(most, extents);
    }

    public override void Run(in StepContext context)
    {
        var extents = (Extents)context.State!;
        if (extents.Batch == 0) return;
        CheckLengths(context, extents.Steps);
        int threads = Parallelism.Resolve(context.MaxThreads);
        if (_cells is not null)
        {
            fixed (byte* workspace = context.Workspace) Run(context, _cells, extents, threads, workspace);
            return;
        }
        var cells = _make!(context);
        var memory = new AlignedBuffer(Bytes(cells, extents, threads));
        Run(context, cells, extents, threads, memory.Pointer);
        GC.KeepAlive(memory);
    }

    private void Run(in StepContext context, RecurrentCell[] cells, Extents extents, int threads, byte* workspace)
    {
        int groups = Groups(cells, extents, threads), rows = (extents.Batch + groups - 1) / groups;
        fixed (byte* x = context.Input<byte>(0), state = Optional(context, _at.State), cell = _form.IsLstm ? Optional(context, _at.Cell) : default)
        fixed (byte* lengths = Optional(context, _at.Lengths), y = Output(context, 0), lastState = Output(context, 1), lastCell = Output(context, 2))
        {
            var run = new RecurrentRun
            {
                Layout = new(extents.Steps, extents.Batch, cells.Length, _form.BatchFirst),
                X = x,
                XRowBytes = context.Inputs[0].Dims[2] * context.Inputs[0].Type.SizeOf(),
                Lengths = (int*)lengths,
                State = (float*)state,
                Cell = (float*)cell,
                Y = (float*)y,
                LastState = (float*)lastState,
                LastCell = (float*)lastCell,
                HasCell = _form.IsLstm,
                MaxThreads = cells.Length * groups == 1 ? threads : 1,
            };
            var body = new Body(run, cells, _form.IsReverse, groups, rows, workspace, RecurrentRun.Bytes(cells[0], extents.Steps, rows));
            WorkerPool.Run(ref body, cells.Length * groups, threads);
        }
    }

    private readonly struct Body(RecurrentRun run, RecurrentCell[] cells, bool isReverse, int groups, int rows, byte* workspace, long bytes) : IParallelBody
    {
        public void Run(int chunk, int lane)
        {
            int direction = chunk / groups, first = chunk % groups * rows;
            if (first < run.Layout.Batch) run.Run(cells[direction], direction, isReverse || direction == 1, first, Math.Min(rows, run.Layout.Batch - first), rows, workspace + (chunk * bytes));
        }
    }

    private static long Bytes(RecurrentCell[] cells, Extents extents, int threads)
    {
        int groups = Groups(cells, extents, threads);
        return cells.Length * groups * RecurrentRun.Bytes(cells[0], extents.Steps, (extents.Batch + groups - 1) / groups);
    }

    /// <summary>Groups of rows: none is worth a thread where the directions keep all of them busy.</summary>
    private static int Groups(RecurrentCell[] cells, Extents extents, int threads) =>
        (int)Math.Clamp(Math.Min(threads / cells.Length, extents.Products / ThreadProducts), 1, Math.Max(1, extents.Batch));

    private void CheckLengths(in StepContext context, int steps)
    {
        if (_at.Lengths >= context.Inputs.Length || !context.Inputs[_at.Lengths].IsPresent) return;
        var lengths = context.Input<int>(_at.Lengths);
        for (int i = 0; i < lengths.Length; i++) RecurrentForm.CheckLength(_node, i, lengths[i], steps);
    }

    private static ReadOnlySpan<byte> Optional(in StepContext context, int input) =>
        input < context.Inputs.Length && context.Inputs[input].IsPresent ? context.Input<byte>(input) : default;

    private static Span<byte> Output(in StepContext context, int output) =>
        output < context.Outputs.Length && context.Outputs[output].IsPresent ? context.Output<byte>(output) : default;
}
