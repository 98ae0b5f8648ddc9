using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = |x|. Any shape, element-wise, float32.</summary>
internal sealed class Abs : MapOperator<AbsoluteFunction>
{
    public override string OpType => "Abs";

    protected override AbsoluteFunction FunctionOf(OpContext context) => default;
}
