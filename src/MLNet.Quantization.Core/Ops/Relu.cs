using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = max(x, 0); NaN stays NaN. Any shape, element-wise, float32.</summary>
internal sealed partial class Relu : MapOperator<ReluFunction>
{
    public override string OpType => "Relu";

    protected override ReluFunction FunctionOf(OpContext context) => new();
}
