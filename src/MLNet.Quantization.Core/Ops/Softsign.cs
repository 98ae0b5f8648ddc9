using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = x / (1 + |x|). Any shape, element-wise, float32.</summary>
internal sealed class Softsign : MapOperator<SoftsignFunction>
{
    public override string OpType => "Softsign";

    protected override SoftsignFunction FunctionOf(OpContext context) => default;
}
