using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = <c>gamma</c> · (x above 0, else <c>alpha</c> · (e^x - 1)), by default 1.0507 and 1.6733. Any shape, element-wise, float32.</summary>
internal sealed class Selu : MapOperator<ExponentialLinearFunction>
{
    public override string OpType => "Selu";

    protected override ExponentialLinearFunction FunctionOf(OpContext context) => new(context.Attribute("alpha", 1.67326319f), context.Attribute("gamma", 1.05070102f), 1);
}
