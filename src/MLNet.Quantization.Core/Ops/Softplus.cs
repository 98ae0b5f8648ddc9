using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = ln(1 + e^x). Any shape, element-wise, float32.</summary>
internal sealed partial class Softplus : MapOperator<SoftplusFunction>
{
    public override string OpType => "Softplus";

    protected override SoftplusFunction FunctionOf(OpContext context) => default;
}
