using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = x where x is 0 or more, else slope · x; slope is broadcast to x. float32.</summary>
internal sealed partial class PRelu : Operator
{
    public override string OpType => "PRelu";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, ElementType.Float);
        var slope = context.Input(1, ElementType.Float);
        if (ShapeRules.Broadcast(context, x.Shape, slope.Shape) is { IsKnown: true } joined && x.Shape is { IsKnown: true } shape && !joined.Equals(shape))
            throw context.Malformed($"the slope {slope.Shape} does not broadcast to {shape}");
        return [new(ElementType.Float, x.Shape)];
    }

    public override Step Prepare(PrepareContext context) => new SlopeStep();

    private sealed class SlopeStep : Step
    {
        public override bool CanOverwrite(int input) => input == 0;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) =>
            new(0, new BroadcastPlan(inputs[0]!.Dims, inputs[1]!.Dims, outputs[0]!.Dims));

        public override void Run(in StepContext context)
        {
            var plan = (BroadcastPlan)context.State!;
            ReadOnlySpan<float> x = context.Input<float>(0), slope = context.Input<float>(1);
            var y = context.Output<float>(0);
            for (int run = 0; run < plan.Runs; run++)
                Elementwise.Combine<SlopeFunction>(
                    x.Slice(run * plan.RunLength, plan.RunLength), slope.Slice(plan.StartOf(run).B, plan.BMoves ? plan.RunLength : 1), y.Slice(run * plan.RunLength, plan.RunLength));
        }
    }
}
