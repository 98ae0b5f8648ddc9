using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Some axes, or all, become one element each, float32: axes are an attribute, and later an input; keepdims (by default) keeps them with
/// extent 1. Elements are joined in the fixed order of <see cref="FloatReductions"/>.
/// </summary>
/// <param name="axesAreInputFrom">The first opset whose axes are an input.</param>
internal abstract class Reduction(int axesAreInputFrom) : Operator
{
    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, ElementType.Float);
        if (x.Shape is not { } shape || context.Opset >= axesAreInputFrom && ShapeRules.IsOpen(context, 1)) return [new(x.Type, null)];
        var reduced = ReducedAxes(context, shape.Rank);
        bool keep = context.Attribute("keepdims", 1L) != 0;
        var dims = new List<Dimension>();
        for (int i = 0; i < shape.Rank; i++)
            if (!reduced.Contains(i)) dims.Add(shape[i]);
            else if (keep) dims.Add(1);
        return [new(x.Type, new(dims.ToArray()))];
    }

    public override Step Prepare(PrepareContext context) => new ReduceStep(this, context);

    /// <param name="x">One or more elements, or none.</param>
    protected abstract float Reduce(ReadOnlySpan<float> x);

    private HashSet<int> ReducedAxes(OpContext context, int rank)
    {
        var axes = ShapeRules.Axes(context, "axes", 1, axesAreInputFrom);
        if (axes is { Length: > 0 }) return [.. axes.Select(a => context.Axis(a, rank))];
        return context.Attribute("noop_with_empty_axes", 0L) != 0 ? [] : [.. Enumerable.Range(0, rank)];
    }

    /// <summary>Reduces the rows of x [rows, n] column by column, where there is a quicker way than to gather them; false where not.</summary>
    /// <param name="x">[rows, n], rows of 1 or more.</param>
    /// <param name="y">n.</param>
    /// <param name="scratch">16 · n.</param>
    protected virtual bool ReduceColumns(ReadOnlySpan<float> x, Span<float> y, Span<float> scratch) => false;

    /// <param name="Columns">Elements behind the reduced axes, where those are neighbours; else 0.</param>
    /// <param name="Gather">Brings the elements of one result together; null where they lie so.</param>
    /// <param name="Row">Elements of one result.</param>
    private sealed record State(StridedCopy? Gather, int Row, int Columns);

    private const int VirtualLanes = 16;

    private sealed class ReduceStep(Reduction op, PrepareContext node) : Step
    {
        public override bool ReadsAtRun(int input) => input == 0;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var x = inputs[0]!;
            var reduced = op.ReducedAxes(node, x.Rank);
            int[] order = [.. Enumerable.Range(0, x.Rank).Where(i => !reduced.Contains(i)), .. reduced.Order()];
            int row = reduced.Aggregate(1, (n, axis) => n * x.Dims[axis]);
            if (order.SequenceEqual(Enumerable.Range(0, x.Rank))) return new(0, new State(null, row, 0));
            int first = reduced.Min(), end = reduced.Max() + 1, columns = end - first == reduced.Count && row > 0 ? x.CountOf(end, x.Rank) : 0;
            return new(Math.Max(x.ByteCount, VirtualLanes * 4L * columns), new State(StridedCopy.Permute(x.Dims, order, sizeof(float)), row, columns));
        }

        public override void Run(in StepContext context)
        {
            var (gather, row, columns) = (State)context.State!;
            var x = context.Input<float>(0);
            var y = context.Output<float>(0);
            if (columns > 0 && y.Length > 0 && op.ReduceColumns(x[..(row * columns)], y[..columns], MemoryMarshal.Cast<byte, float>(context.Workspace)))
            {
                for (int at = columns; at < y.Length; at += columns) op.ReduceColumns(x.Slice(at * row, row * columns), y.Slice(at, columns), MemoryMarshal.Cast<byte, float>(context.Workspace));
                return;
            }
            if (gather is not null)
            {
                var gathered = context.Workspace[..(x.Length * sizeof(float))];
                gather.Run(context.Input<byte>(0), gathered);
                x = MemoryMarshal.Cast<byte, float>(gathered);
            }
            for (int i = 0; i < y.Length; i++) y[i] = op.Reduce(x.Slice(i * row, row));
        }
    }
}

/// <summary>Σ x.</summary>
internal sealed class ReduceSum() : Reduction(axesAreInputFrom: 13)
{
    public override string OpType => "ReduceSum";

    protected override float Reduce(ReadOnlySpan<float> x) => FloatReductions.Sum(x);

    protected override bool ReduceColumns(ReadOnlySpan<float> x, Span<float> y, Span<float> scratch)
    {
        FloatReductions.SumColumns(x, y.Length, y, scratch);
        return true;
    }
}

/// <summary>The mean.</summary>
internal sealed class ReduceMean() : Reduction(axesAreInputFrom: 18)
{
    public override string OpType => "ReduceMean";

    protected override float Reduce(ReadOnlySpan<float> x) => FloatReductions.Sum(x) / x.Length;

    protected override bool ReduceColumns(ReadOnlySpan<float> x, Span<float> y, Span<float> scratch)
    {
        FloatReductions.SumColumns(x, y.Length, y, scratch);
        Elementwise.Combine<DivideFunction>(y, [x.Length / y.Length], y);
        return true;
    }
}

/// <summary>The greatest element.</summary>
internal sealed class ReduceMax() : Reduction(axesAreInputFrom: 18)
{
    public override string OpType => "ReduceMax";

    protected override float Reduce(ReadOnlySpan<float> x) => FloatReductions.Max(x);
}
