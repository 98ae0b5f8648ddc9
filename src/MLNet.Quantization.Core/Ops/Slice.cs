using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>A part of x: along some axes from start to end (excluded) by a step, all counted as in Python.</summary>
internal sealed partial class Slice : Operator
{
    public override string OpType => "Slice";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        if (x.Shape is not { } shape) return [new(x.Type, null)];
        if (context.Opset >= 10 && Enumerable.Range(1, 4).Any(i => ShapeRules.IsOpen(context, i)))
            return [new(x.Type, new(Enumerable.Repeat(Dimension.Unknown, shape.Rank).ToArray()))];
        var dims = shape.Dims.ToArray();
        var cuts = CutsOf(context, shape.Rank);
        foreach (var cut in cuts)
            dims[cut.Axis] = shape[cut.Axis].IsKnown ? cut.Count(shape[cut.Axis].Value) : cut.IsWhole ? shape[cut.Axis] : Dimension.Unknown;
        ValueFact result = new(x.Type, new(dims));
        return [shape.Rank == 1 && ShapeEntry.AllOf(x) is { } entries ? ShapeEntry.With(result, cuts.Length == 0 ? entries : Part(entries, cuts[0])) : result];
    }

    private static ShapeEntry[] Part(ShapeEntry[] entries, Cut cut)
    {
        var part = new ShapeEntry[cut.Count(entries.Length)];
        for (int i = 0; i < part.Length; i++) part[i] = entries[cut.First(entries.Length) + (i * cut.Step)];
        return part;
    }

    public override Step Prepare(PrepareContext context) => new SliceStep(this, context);

    private static Cut[] CutsOf(OpContext context, int rank)
    {
        long[] starts = Values(context, "starts", 1) ?? throw context.Malformed("it has no starts"), ends = Values(context, "ends", 2) ?? throw context.Malformed("it has no ends");
        long[] axes = Values(context, "axes", 3) ?? [.. Enumerable.Range(0, starts.Length).Select(i => (long)i)];
        long[] steps = (context.Opset >= 10 ? Values(context, "steps", 4) : null) ?? [.. starts.Select(_ => 1L)];
        if (ends.Length != starts.Length || axes.Length != starts.Length || steps.Length != starts.Length)
            throw context.Malformed($"{starts.Length} starts, {ends.Length} ends, {axes.Length} axes and {steps.Length} steps do not go together");
        if (steps.Contains(0)) throw context.Malformed("a step is 0");
        var cuts = new Cut[starts.Length];
        for (int i = 0; i < cuts.Length; i++) cuts[i] = new(context.Axis(axes[i], rank), starts[i], ends[i], steps[i]);
        return cuts.DistinctBy(c => c.Axis).Count() == cuts.Length ? cuts : throw context.Malformed($"axes [{string.Join(',', axes)}] name one twice");
    }

    private static long[]? Values(OpContext context, string attribute, int input)
    {
        if (context.Opset >= 10) return context.Optional(input) is { } fact ? ShapeRules.Integers(context, input, fact) : null;
        return context.Node.Attributes.Contains(attribute) ? [.. context.Attribute(attribute, ImmutableArray<long>.Empty)] : null;
    }

    private readonly record struct Cut(int Axis, long Start, long End, long Step)
    {
        /// <summary>True where all entries are kept, in order or reversed, whatever the extent is.</summary>
        public bool IsWhole => (Start == 0 && End >= int.MaxValue && Step == 1) || (Start is -1 or >= int.MaxValue && End <= -int.MaxValue && Step == -1);

        public long First(long extent) => Clamp(Start, extent, 0, Step > 0 ? extent : extent - 1);

        public long Count(long extent)
        {
            if (extent == 0) return 0;
            long end = Clamp(End, extent, Step > 0 ? 0 : -1, Step > 0 ? extent : extent - 1), span = end - First(extent);
            // Written so that no step, not even the largest, leaves 64 bits.
            return Step > 0 ? (span > 0 ? ((span - 1) / Step) + 1 : 0) : span < 0 ? ((span + 1) / Step) + 1 : 0;
        }

        private static long Clamp(long value, long extent, long low, long high) =>
            Math.Clamp(value < 0 ? Math.Max(value, -extent - 1) + extent : value, low, Math.Max(low, high));
    }

    /// <summary>Starts and ends may follow from the shapes of one run, so the cuts are made in the plan.</summary>
    private sealed class SliceStep(Slice op, PrepareContext context) : Step
    {
        public override bool ReadsAtRun(int input) => input == 0;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var x = inputs[0]!;
            if (context.Opset >= 10 && Enumerable.Range(1, 4).Any(i => ShapeRules.IsOpen(context, i)))
                throw context.Unsupported($"{op.OpType} bounds are computed; supported: constant bounds");
            var strides = StridedCopy.RowMajor(x.Dims);
            long start = 0;
            foreach (var cut in CutsOf(context, x.Rank))
            {
                start += outputs[0]!.Count == 0 ? 0 : cut.First(x.Dims[cut.Axis]) * strides[cut.Axis];
                strides[cut.Axis] *= cut.Step;
            }
            return new(0, new StridedCopy(outputs[0]!.Dims, strides, start, x.Type.SizeOf()));
        }

        public override void Run(in StepContext run) => ((StridedCopy)run.State!).Run(run.Input<byte>(0), run.Output<byte>(0), run.MaxThreads);
    }
}
