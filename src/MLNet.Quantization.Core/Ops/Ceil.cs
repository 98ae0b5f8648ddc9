using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>The least whole number that is not below x. Any shape, element-wise, float32.</summary>
internal sealed class Ceil : MapOperator<CeilingFunction>
{
    public override string OpType => "Ceil";

    protected override CeilingFunction FunctionOf(OpContext context) => default;
}
