using System.Numerics;
using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Some axes, or all, become one element each: axes are an attribute, and later an input; keepdims (by default) keeps them with extent 1.
/// float32, whose elements are joined in the fixed order of <see cref="FloatReductions"/>, and integers, which wrap.
/// </summary>
/// <param name="axesAreInputFrom">The first opset whose axes are an input.</param>
internal abstract class Reduction(int axesAreInputFrom = 18) : Operator
{
    /// <summary>The types of most reductions.</summary>
    private static readonly ElementType[] Wide = [ElementType.Int32, ElementType.Int64, ElementType.UInt32, ElementType.UInt64];

    /// <summary>Those of ReduceMax and ReduceMin; bool as 0 and 1.</summary>
    protected static ElementType[] Ordered { get; } = [.. Wide, ElementType.Int8, ElementType.UInt8, ElementType.Bool];

    /// <summary>The types beside float32.</summary>
    protected virtual ElementType[] IntegerTypes => Wide;

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, [ElementType.Float, .. IntegerTypes]);
        if (x.Shape is not { } shape || context.Opset >= axesAreInputFrom && ShapeRules.IsOpen(context, 1)) return [new(x.Type, null)];
        var reduced = ReducedAxes(context, shape.Rank);
        bool keep = context.Attribute("keepdims", 1L) != 0;
        var dims = new List<Dimension>();
        for (int i = 0; i < shape.Rank; i++)
            if (!reduced.Contains(i)) dims.Add(shape[i]);
            else if (keep) dims.Add(1);
        ValueFact result = new(x.Type, new(dims.ToArray()));
        return [reduced.Count == 1 && shape.Rank == 1 && ShapeEntry.AllOf(x) is { } entries ? ShapeEntry.With(result, [Reduce(entries)]) : result];
    }

    public override Step Prepare(PrepareContext context) => new ReduceStep(this, context);

    /// <param name="x">One or more elements, or none.</param>
    /// <param name="scratch">As many, where <see cref="NeedsScratch"/>.</param>
    protected abstract float Reduce(ReadOnlySpan<float> x, Span<float> scratch);

    /// <summary>The integer form.</summary>
    /// <param name="x">One or more elements, or none.</param>
    protected virtual T Reduce<T>(ReadOnlySpan<T> x) where T : IBinaryInteger<T>, IMinMaxValue<T> => throw new NotSupportedException();

    /// <summary>What is known of the result of a shape's entries: by default, where all are numbers.</summary>
    protected virtual ShapeEntry Reduce(ShapeEntry[] entries) =>
        IntegerTypes.Length > 0 && entries.All(e => e.Number is not null) ? ShapeEntry.Of(Reduce<long>(Array.ConvertAll(entries, e => e.Number!.Value))) : default;

    /// <summary>True where the float form wants memory.</summary>
    protected virtual bool NeedsScratch => false;

    protected HashSet<int> ReducedAxes(OpContext context, int rank)
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

    private sealed class ReduceStep(Reduction op, PrepareContext node) : Step, IIntegerStep
    {
        public override bool ReadsAtRun(int input) => input == 0;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var x = inputs[0]!;
            var reduced = op.ReducedAxes(node, x.Rank);
            int[] order = [.. Enumerable.Range(0, x.Rank).Where(i => !reduced.Contains(i)), .. reduced.Order()];
            int row = reduced.Aggregate(1, (n, axis) => n * x.Dims[axis]);
            long scratch = op.NeedsScratch ? (long)sizeof(float) * row : 0;
            if (order.SequenceEqual(Enumerable.Range(0, x.Rank))) return new(scratch, new State(null, row, 0));
            int first = reduced.Min(), end = reduced.Max() + 1, columns = end - first == reduced.Count && row > 0 ? x.CountOf(end, x.Rank) : 0;
            return new(Math.Max(x.ByteCount + scratch, FloatReductions.VirtualLanes * (long)sizeof(float) * columns), new State(StridedCopy.Permute(x.Dims, order, x.Type.SizeOf()), row, columns));
        }

        public override void Run(in StepContext context)
        {
            if (context.Inputs[0].Type == ElementType.Float) Floats(context);
            else if (context.Inputs[0].Type == ElementType.Bool) Flags(context);
            else NumberTypes.Run(context.Inputs[0].Type, this, context);
        }

        private void Floats(in StepContext context)
        {
            var (_, row, columns) = (State)context.State!;
            var x = context.Input<float>(0);
            var y = context.Output<float>(0);
            if (columns > 0 && y.Length > 0 && op.ReduceColumns(x[..(row * columns)], y[..columns], MemoryMarshal.Cast<byte, float>(context.Workspace)))
            {
                for (int at = columns; at < y.Length; at += columns) op.ReduceColumns(x.Slice(at * row, row * columns), y.Slice(at, columns), MemoryMarshal.Cast<byte, float>(context.Workspace));
                return;
            }
            x = Rows<float>(context);
            var scratch = op.NeedsScratch ? MemoryMarshal.Cast<byte, float>(context.Workspace[^(row * sizeof(float))..]) : default;
            for (int i = 0; i < y.Length; i++) y[i] = op.Reduce(x.Slice(i * row, row), scratch);
        }

        public void Integers<T>(in StepContext context) where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
        {
            int row = ((State)context.State!).Row;
            var x = Rows<T>(context);
            var y = context.Output<T>(0);
            for (int i = 0; i < y.Length; i++) y[i] = op.Reduce(x.Slice(i * row, row));
        }

        private void Flags(in StepContext context)
        {
            Integers<byte>(context);
            // The greatest value of the type is 1, not that of a byte.
            foreach (ref byte flag in context.Output<byte>(0)) flag = Math.Min(flag, (byte)1);
        }

        /// <summary>x with the elements of each result together.</summary>
        private static ReadOnlySpan<T> Rows<T>(scoped in StepContext context) where T : unmanaged
        {
            var x = context.Input<byte>(0);
            if (((State)context.State!).Gather is not { } gather) return MemoryMarshal.Cast<byte, T>(x);
            var gathered = context.Workspace[..x.Length];
            gather.Run(x, gathered, context.MaxThreads);
            return MemoryMarshal.Cast<byte, T>(gathered);
        }
    }
}
