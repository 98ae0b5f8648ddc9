using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Blocks of x at given coordinates: the last axis of the indices holds the first coordinates behind <c>batch_dims</c> axes, which x and
/// indices share. Any type.
/// </summary>
internal sealed class GatherND : Operator
{
    public override string OpType => "GatherND";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        var indices = context.Input(1, ElementType.Int64);
        if (x.Shape is not { } shape || indices.Shape is not { } picked) return [new(x.Type, null)];
        long batch = context.Attribute("batch_dims", 0L);
        if (shape.Rank == 0 || picked.Rank == 0 || batch < 0 || batch >= Math.Min(shape.Rank, picked.Rank)) throw context.Malformed($"batch_dims {batch} does not go with x {shape} and indices {picked}");
        var depth = picked[picked.Rank - 1];
        if (!depth.IsKnown) return [new(x.Type, null)];
        if (depth.Value < 1 || depth.Value > shape.Rank - batch) throw context.Malformed($"{depth} coordinates do not point into x {shape} behind {batch} axes");
        return [new(x.Type, new([.. picked.Dims[..^1], .. shape.Dims[(int)(batch + depth.Value)..]]))];
    }

    public override Step Prepare(PrepareContext context) => new GatherStep(context);

    private sealed class GatherStep(PrepareContext node) : Step
    {
        private readonly int _batch = (int)node.Attribute("batch_dims", 0L);

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) => new(0, new BlockWalk(inputs[1]!, inputs[0]!, _batch));

        public override void Run(in StepContext context)
        {
            var walk = (BlockWalk)context.State!;
            int bytes = walk.Block * context.Inputs[0].Type.SizeOf();
            var x = context.Input<byte>(0);
            var y = context.Output<byte>(0);
            var indices = new IndexList(context.Inputs[1]);
            for (int i = 0; i < walk.Count; i++) x.Slice(walk.Start(i, indices, node) * bytes, bytes).CopyTo(y[(i * bytes)..]);
        }
    }
}
