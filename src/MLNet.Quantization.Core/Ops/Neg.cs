using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = -x. Any shape, element-wise, float32.</summary>
internal sealed class Neg : MapOperator<NegateFunction>
{
    public override string OpType => "Neg";

    protected override NegateFunction FunctionOf(OpContext context) => default;
}
