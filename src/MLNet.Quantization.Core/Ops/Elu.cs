using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = x above 0, else <c>alpha</c> · (e^x - 1), by default 1. Any shape, element-wise, float32.</summary>
internal sealed partial class Elu : MapOperator<ExponentialLinearFunction>
{
    public override string OpType => "Elu";

    protected override ExponentialLinearFunction FunctionOf(OpContext context) => new(context.Attribute("alpha", 1f), 1, 1);
}
