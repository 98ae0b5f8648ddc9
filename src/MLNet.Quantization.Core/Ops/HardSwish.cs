using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = x · max(0, min(1, x / 6 + 0.5)). Any shape, element-wise, float32.</summary>
internal sealed partial class HardSwish : MapOperator<HardSwishFunction>
{
    public override string OpType => "HardSwish";

    protected override HardSwishFunction FunctionOf(OpContext context) => default;
}
