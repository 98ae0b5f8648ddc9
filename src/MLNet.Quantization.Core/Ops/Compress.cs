using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>The entries of x along <c>axis</c> (absent: its elements in row-major order) where a list of conditions is true. A shorter list drops the rest.</summary>
internal sealed class Compress : Operator
{
    public override string OpType => "Compress";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        var condition = context.Input(1, ElementType.Bool);
        if (condition.Shape is { Rank: not 1 }) throw context.Malformed($"its conditions have shape {condition.Shape}, expected a list");
        if (x.Shape is not { } shape) return [new(x.Type, null)];
        if (shape.Rank == 0) throw context.Malformed("a scalar has no entries to pick");
        int? axis = Axis(context, shape.Rank);
        var dims = axis is null ? new Dimension[1] : shape.Dims.ToArray();
        bool isKnown = axis is { } a ? shape[a].IsKnown : shape.IsKnown;
        long extent = !isKnown ? 0 : axis is { } at ? shape[at].Value : shape.ElementCount;
        dims[axis ?? 0] = condition.Value is { } known && isKnown ? Count(known.Span<bool>(), (int)Math.Min(extent, int.MaxValue)) : Dimension.Unknown;
        return [new(x.Type, new(dims))];
    }

    public override Step Prepare(PrepareContext context) => new CompressStep(context);

    private static int? Axis(OpContext context, int rank) => context.Node.Attributes.Contains("axis") ? context.Axis(context.Attribute("axis", 0L), rank) : null;

    private static int Count(ReadOnlySpan<bool> conditions, int extent) => conditions[..Math.Min(conditions.Length, extent)].Count(true);

    private sealed class CompressStep(PrepareContext node) : Step
    {
        public override bool CanSizeOutputs => true;

        public override void Run(in StepContext context) => Write(context, context.Output<byte>(0));

        public override Tensor[] RunOpen(in StepContext context)
        {
            var x = context.Inputs[0].Layout!;
            int? axis = Axis(node, x.Rank);
            int[] dims = axis is null ? [x.Count] : [.. x.Dims];
            dims[axis ?? 0] = Count(context.Input<bool>(1), dims[axis ?? 0]);
            var layout = new TensorLayout(x.Type, dims);
            byte[] bytes = new byte[layout.ByteCount];
            Write(context, bytes);
            return [new(x.Type, dims, bytes)];
        }

        private void Write(in StepContext context, Span<byte> to)
        {
            var x = context.Inputs[0].Layout!;
            int? axis = Axis(node, x.Rank);
            int outer = axis is { } a ? x.CountOf(0, a) : 1, extent = axis is { } b ? x.Dims[b] : x.Count;
            int block = (axis is { } c ? x.CountOf(c + 1, x.Rank) : 1) * x.Type.SizeOf(), at = 0;
            var conditions = context.Input<bool>(1);
            var from = context.Input<byte>(0);
            for (int o = 0; o < outer; o++)
                for (int i = 0; i < Math.Min(extent, conditions.Length); i++)
                {
                    if (!conditions[i]) continue;
                    from.Slice(((o * extent) + i) * block, block).CopyTo(to[at..]);
                    at += block;
                }
        }
    }
}
