using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>An operator that maps each float32 element by a function in double, rounded once; any shape, in place where it can be.</summary>
internal abstract class DoubleMapOperator(Func<float, double> function) : Operator
{
    public override ValueFact[] Infer(OpContext context) => [context.Input(0, ElementType.Float) with { Value = null }];

    public override Step Prepare(PrepareContext context) => new MapStep(function);

    private sealed class MapStep(Func<float, double> function) : Step
    {
        public override bool CanOverwrite(int input) => true;

        public override void Run(in StepContext context)
        {
            var x = context.Input<float>(0);
            var y = context.Output<float>(0);
            for (int i = 0; i < y.Length; i++) y[i] = (float)function(x[i]);
        }
    }
}
