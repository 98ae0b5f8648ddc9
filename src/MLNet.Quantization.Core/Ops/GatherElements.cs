using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>For each place of the indices the element of x at that place, its coordinate along <c>axis</c> (default 0) being the index. Any type.</summary>
internal sealed class GatherElements : Operator
{
    public override string OpType => "GatherElements";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        var indices = context.Input(1, ElementType.Int64, ElementType.Int32);
        if (x.Shape is { } shape && indices.Shape is { } picked)
        {
            if (shape.Rank != picked.Rank || shape.Rank == 0) throw context.Malformed($"x {shape} and indices {picked} must have as many axes, 1 or more");
            int axis = context.Axis(context.Attribute("axis", 0L), shape.Rank);
            for (int i = 0; i < shape.Rank; i++)
                if (i != axis && shape[i].IsKnown && picked[i].IsKnown && picked[i].Value > shape[i].Value) throw context.Malformed($"indices {picked} reach beyond x {shape} along axis {i}");
        }
        return [new(x.Type, indices.Shape)];
    }

    public override Step Prepare(PrepareContext context) => new GatherStep(context);

    private sealed class GatherStep(PrepareContext node) : Step
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) =>
            new(0, new ElementWalk(inputs[1]!.Dims, inputs[0]!.Dims, node.Axis(node.Attribute("axis", 0L), inputs[0]!.Rank)));

        public override void Run(in StepContext context)
        {
            var walk = (ElementWalk)context.State!;
            int size = context.Inputs[0].Type.SizeOf(), count = context.Inputs[1].Count;
            var x = context.Input<byte>(0);
            var y = context.Output<byte>(0);
            var indices = new IndexList(context.Inputs[1]);
            for (int i = 0; i < count; i++) x.Slice(walk.Place(i, indices.Resolve(i, walk.Extent, node, walk.Axis)) * size, size).CopyTo(y[(i * size)..]);
        }
    }
}
