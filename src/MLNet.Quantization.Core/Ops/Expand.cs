using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>x broadcast to a shape, which itself may give way to x where x is longer; any type.</summary>
internal sealed partial class Expand : Operator
{
    public override string OpType => "Expand";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        var target = context.Input(1, ElementType.Int64);
        if (target.Shape is { Rank: not 1 }) throw context.Malformed($"input 1 ('{context.Node.Inputs[1]}') has shape {target.Shape}, expected a vector");
        var entries = target.Value is { } value ? Array.ConvertAll(value.ToInt64s(), ShapeEntry.Of) : ShapeEntry.AllOf(target);
        if (entries is null) return [new(x.Type, null)];
        if (entries.Any(e => e.Number < 0)) throw context.Malformed($"its shape [{string.Join(',', entries.Select(e => e.Number))}] has an extent below 0");
        return [new(x.Type, ShapeRules.Broadcast(context, x.Shape, new TensorShape(Array.ConvertAll(entries, e => e.Number is { } n ? n : e.Extent))))];
    }

    public override Step Prepare(PrepareContext context) => new ExpandStep();

    private sealed class ExpandStep : Step
    {
        public override bool ReadsAtRun(int input) => input == 0;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            TensorLayout x = inputs[0]!, y = outputs[0]!;
            long[] own = StridedCopy.RowMajor(x.Dims), strides = new long[y.Rank];
            for (int i = 1; i <= x.Rank; i++) strides[^i] = x.Dims[^i] == 1 ? 0 : own[^i];
            return new(0, new StridedCopy(y.Dims, strides, 0, x.Type.SizeOf()));
        }

        public override void Run(in StepContext context) => ((StridedCopy)context.State!).Run(context.Input<byte>(0), context.Output<byte>(0), context.MaxThreads);
    }
}
