using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = max(0, min(1, <c>alpha</c> · x + <c>beta</c>)), by default 0.2 and 0.5. Any shape, element-wise, float32.</summary>
internal sealed partial class HardSigmoid : MapOperator<HardSigmoidFunction>
{
    public override string OpType => "HardSigmoid";

    protected override HardSigmoidFunction FunctionOf(OpContext context) => new(context.Attribute("alpha", 0.2f), context.Attribute("beta", 0.5f));
}
