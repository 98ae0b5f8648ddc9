using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// x cut along <c>axis</c> (default 0) into as many parts as there are outputs: of given lengths, or of equal ones, of which from opset 18 on
/// the last may be shorter. Any type.
/// </summary>
internal sealed partial class Split : Operator
{
    private const int LengthsAsInput = 13, LastMayBeShorter = 18;

    public override string OpType => "Split";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        int count = context.OutputCount;
        if (x.Shape is not { } shape) return [.. Enumerable.Repeat(new ValueFact(x.Type, null), count)];
        int axis = context.Axis(context.Attribute("axis", 0L), shape.Rank);
        if (shape.Rank == 0) throw context.Malformed("a scalar cannot be split");
        var lengths = Lengths(context, shape[axis]);
        var facts = new ValueFact[count];
        var entries = shape.Rank == 1 ? ShapeEntry.AllOf(x) : null;
        for (int i = 0, start = 0; i < count; i++)
        {
            var dims = shape.Dims.ToArray();
            dims[axis] = lengths?[i] ?? Dimension.Unknown;
            facts[i] = new(x.Type, new(dims));
            if (entries is not null && lengths is not null) facts[i] = ShapeEntry.With(facts[i], entries[start..(start += (int)lengths[i])]);
        }
        return facts;
    }

    /// <summary>True where the lengths are computed.</summary>
    private static bool IsOpen(OpContext context) => context.Opset >= LengthsAsInput && ShapeRules.IsOpen(context, 1);

    /// <summary>Null while they follow from an extent, or a value, that is not known yet.</summary>
    private static long[]? Lengths(OpContext context, Dimension extent)
    {
        if (IsOpen(context)) return null;
        int count = context.OutputCount;
        long[]? given = context.Opset >= LengthsAsInput
            ? context.Optional(1) is null ? null : ShapeRules.Integers(context, 1, context.Input(1))
            : context.Node.Attributes.Contains("split") ? [.. context.Attribute("split", ImmutableArray<long>.Empty)] : null;
        if (given is not null)
        {
            if (given.Length != count || given.Any(l => l < 0) || extent.IsKnown && given.Sum() != extent.Value)
                throw context.Malformed($"lengths [{string.Join(',', given)}] do not cut axis of {extent} into {count} parts");
            return given;
        }
        if (!extent.IsKnown) return null;
        long each = (extent.Value + count - 1) / count, last = extent.Value - (each * (count - 1));
        if (last < 0 || last != each && context.Opset < LastMayBeShorter) throw context.Malformed($"an axis of {extent} does not fall into {count} equal parts");
        return [.. Enumerable.Repeat(each, count - 1), last];
    }

    public override Step Prepare(PrepareContext context) => new SplitStep(context);

    private sealed class SplitStep(PrepareContext node) : Step
    {
        /// <summary>Lengths that are not known before the run matter only where an omitted part is to be skipped.</summary>
        private readonly bool _readsLengths = IsOpen(node) && node.Node.Outputs.Contains("");

        public override bool ReadsAtRun(int input) => input == 0 || _readsLengths;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) => new(0, Lengths(node, inputs[0]!.Dims[AxisOf(inputs[0]!)]));

        public override void Run(in StepContext context)
        {
            var layout = context.Inputs[0].Layout!;
            var x = context.Input<byte>(0);
            int axis = AxisOf(layout), outer = layout.CountOf(0, axis), row = outer == 0 ? 0 : x.Length / outer, each = row / Math.Max(1, layout.Dims[axis]), at = 0;
            for (int i = 0; i < context.Outputs.Length; i++)
            {
                if (!context.Outputs[i].IsPresent)
                {
                    at += each * (int)(context.State is long[] lengths ? lengths[i] : new IndexList(context.Inputs[1])[i]);
                    continue;
                }
                var to = context.Output<byte>(i);
                int part = outer == 0 ? 0 : to.Length / outer;
                for (int o = 0; o < outer; o++) x.Slice((o * row) + at, part).CopyTo(to[(o * part)..]);
                at += part;
            }
        }

        private int AxisOf(TensorLayout x) => node.Axis(node.Attribute("axis", 0L), x.Rank);
    }
}
