using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>An operator that maps each float32 element by a function of one number; any shape, in place where it can be.</summary>
internal abstract class MapOperator<TFunction> : Operator where TFunction : struct, IUnaryFunction
{
    public override ValueFact[] Infer(OpContext context) => [context.Input(0, ElementType.Float) with { Value = null }];

    public override Step Prepare(PrepareContext context) => new MapStep(FunctionOf(context));

    /// <summary>The function with the node's parameters.</summary>
    protected abstract TFunction FunctionOf(OpContext context);

    private sealed class MapStep(TFunction function) : Step
    {
        public override bool CanOverwrite(int input) => true;

        public override void Run(in StepContext context) => Elementwise.Map(function, context.Input<float>(0), context.Output<float>(0));
    }
}
