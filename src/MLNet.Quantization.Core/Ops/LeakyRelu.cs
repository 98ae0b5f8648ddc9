using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = x where x is 0 or more, else <c>alpha</c> · x (default 0.01). Any shape, element-wise, float32.</summary>
internal sealed partial class LeakyRelu : MapOperator<LeakyReluFunction>
{
    public override string OpType => "LeakyRelu";

    protected override LeakyReluFunction FunctionOf(OpContext context) => new(context.Attribute("alpha", 0.01f));
}
