using System.Numerics;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// x with some elements replaced by updates, or joined with them by <c>reduction</c> (add, mul, max, min), in the order of the updates:
/// ScatterElements, its old name Scatter, and ScatterND. Any type; with a reduction float32 and integers.
/// </summary>
internal sealed class Scatter(string opType) : Operator
{
    public override string OpType => opType;

    private bool IsByBlocks => opType == "ScatterND";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        var indices = IsByBlocks ? context.Input(1, ElementType.Int64) : context.Input(1, ElementType.Int64, ElementType.Int32);
        var updates = context.Input(2, x.Type);
        string reduction = context.Attribute("reduction", "none");
        if (reduction is not ("none" or "add" or "mul" or "max" or "min")) throw context.Malformed($"reduction is '{reduction}', expected none, add, mul, max or min");
        if (reduction != "none") context.Input(0, NumberTypes.All);
        if (x.Shape is { } shape && indices.Shape is { } picked)
        {
            if (!IsByBlocks)
            {
                if (shape.Rank != picked.Rank || shape.Rank == 0) throw context.Malformed($"x {shape} and indices {picked} must have as many axes, 1 or more");
                context.Axis(context.Attribute("axis", 0L), shape.Rank);
                Require(context, updates, picked);
            }
            else if (picked.Rank == 0 || picked[picked.Rank - 1] is { IsKnown: true } depth && (depth.Value < 1 || depth.Value > shape.Rank))
                throw context.Malformed($"indices {picked} do not point into x {shape}");
            else if (picked[picked.Rank - 1].IsKnown)
                Require(context, updates, new([.. picked.Dims[..^1], .. shape.Dims[(int)picked[picked.Rank - 1].Value..]]));
        }
        return [new(x.Type, x.Shape)];
    }

    private static void Require(OpContext context, ValueFact updates, TensorShape expected)
    {
        if (updates.Shape is { IsKnown: true } found && expected.IsKnown && !found.Equals(expected)) throw context.Malformed($"updates have shape {found}, expected {expected}");
    }

    public override Step Prepare(PrepareContext context) => new ScatterStep(context, IsByBlocks);

    private sealed class ScatterStep(PrepareContext node, bool isByBlocks) : Step, INumberStep
    {
        private readonly string _reduction = node.Attribute("reduction", "none");

        public override bool CanOverwrite(int input) => input == 0;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            TensorLayout x = inputs[0]!, indices = inputs[1]!;
            return new(0, isByBlocks ? new BlockWalk(indices, x, 0) : new ElementWalk(indices.Dims, x.Dims, node.Axis(node.Attribute("axis", 0L), x.Rank)));
        }

        public override void Run(in StepContext context)
        {
            var y = context.Output<byte>(0);
            context.Input<byte>(0).CopyTo(y);
            if (_reduction != "none")
            {
                NumberTypes.Run(context.Inputs[0].Type, this, context);
                return;
            }
            int count = Count(context, out int block), bytes = block * context.Inputs[0].Type.SizeOf();
            var updates = context.Input<byte>(2);
            for (int i = 0; i < count; i++) updates.Slice(i * bytes, bytes).CopyTo(y[(Start(context, i) * bytes)..]);
        }

        public void Numbers<T>(in StepContext context) where T : unmanaged, INumber<T>, IMinMaxValue<T>
        {
            int count = Count(context, out int block);
            var updates = context.Input<T>(2);
            var y = context.Output<T>(0);
            for (int i = 0; i < count; i++)
            {
                var to = y.Slice(Start(context, i) * block, block);
                for (int j = 0; j < block; j++) to[j] = Join(to[j], updates[(i * block) + j]);
            }
        }

        private T Join<T>(T old, T update) where T : INumber<T> => _reduction switch
        {
            "add" => unchecked(old + update),
            "mul" => unchecked(old * update),
            "max" => T.Max(old, update),
            _ => T.Min(old, update),
        };

        private int Count(in StepContext context, out int block)
        {
            block = (context.State as BlockWalk)?.Block ?? 1;
            return (context.State as BlockWalk)?.Count ?? context.Inputs[1].Count;
        }

        private int Start(in StepContext context, int update)
        {
            var indices = new IndexList(context.Inputs[1]);
            if (context.State is BlockWalk blocks) return blocks.Start(update, indices, node);
            var walk = (ElementWalk)context.State!;
            return walk.Place(update, indices.Resolve(update, walk.Extent, node, walk.Axis));
        }
    }
}
