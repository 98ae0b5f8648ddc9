using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = x · tanh(ln(1 + e^x)). Any shape, element-wise, float32.</summary>
internal sealed class Mish : MapOperator<MishFunction>
{
    public override string OpType => "Mish";

    protected override MishFunction FunctionOf(OpContext context) => default;
}
