using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>Entries of x along <c>axis</c> (default 0) by index; negative indices count from the end.</summary>
internal sealed partial class Gather : Operator
{
    public override string OpType => "Gather";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        var indices = context.Input(1, ElementType.Int64, ElementType.Int32);
        if (x.Shape is not { } shape || indices.Shape is not { } picked) return [new(x.Type, null)];
        if (shape.Rank == 0) throw context.Malformed("a scalar has no entries to pick");
        int axis = context.Axis(context.Attribute("axis", 0L), shape.Rank);
        if (indices.Value is { } constant && shape[axis].IsKnown)
            foreach (long index in constant.ToInt64s()) IndexList.Resolve(index, shape[axis].Value, context, axis);
        ValueFact result = new(x.Type, new([.. shape.Dims[..axis], .. picked, .. shape.Dims[(axis + 1)..]]));
        return [indices.Value is not null && ShapeEntry.AllOf(x) is { } entries ? ShapeEntry.With(result, Picked(entries, indices.Value.ToInt64s())) : result];
    }

    private static ShapeEntry[] Picked(ShapeEntry[] entries, long[] indices) => Array.ConvertAll(indices, i => entries[i < 0 ? i + entries.Length : i]);

    public override Step Prepare(PrepareContext context) => new GatherStep(context);

    private sealed class GatherStep(PrepareContext node) : Step
    {
        private readonly long _axis = node.Attribute("axis", 0L);

        public override void Run(in StepContext context)
        {
            var x = context.Inputs[0].Layout!;
            int axis = (int)(_axis < 0 ? _axis + x.Rank : _axis), outer = x.CountOf(0, axis), extent = x.Dims[axis];
            int block = x.CountOf(axis + 1, x.Rank) * x.Type.SizeOf(), count = context.Inputs[1].Count;
            var from = context.Input<byte>(0);
            var indices = new IndexList(context.Inputs[1]);
            var to = context.Output<byte>(0);
            for (int o = 0; o < outer; o++)
                for (int i = 0; i < count; i++) from.Slice(((o * extent) + indices.Resolve(i, extent, node, axis)) * block, block).CopyTo(to[(((o * count) + i) * block)..]);
        }
    }
}
