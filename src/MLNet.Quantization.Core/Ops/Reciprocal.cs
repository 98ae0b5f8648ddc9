using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = 1 / x. Any shape, element-wise, float32.</summary>
internal sealed partial class Reciprocal : MapOperator<ReciprocalFunction>
{
    public override string OpType => "Reciprocal";

    protected override ReciprocalFunction FunctionOf(OpContext context) => default;
}
