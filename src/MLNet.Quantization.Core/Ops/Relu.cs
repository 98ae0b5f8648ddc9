using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>y = max(x, 0); NaN stays NaN. Any shape, element-wise, float32.</summary>
internal sealed class Relu : Operator
{
    public override string OpType => "Relu";

    public override ValueFact[] Infer(OpContext context) => [context.Input(0, ElementType.Float) with { Value = null }];

    public override Step Prepare(PrepareContext context) => new ReluStep();

    private sealed class ReluStep : Step
    {
        public override bool CanOverwrite(int input) => true;

        public override void Run(in StepContext context)
        {
            var x = context.Input<float>(0);
            var y = context.Output<float>(0);
            for (int i = 0; i < x.Length; i++) y[i] = MathF.Max(x[i], 0);
        }
    }
}
