using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>The nearest whole number; the even one of two. Any shape, element-wise, float32.</summary>
internal sealed class Round : MapOperator<RoundFunction>
{
    public override string OpType => "Round";

    protected override RoundFunction FunctionOf(OpContext context) => default;
}
