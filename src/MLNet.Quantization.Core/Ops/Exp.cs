using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = e^x. Any shape, element-wise, float32.</summary>
internal sealed partial class Exp : MapOperator<ExpFunction>
{
    public override string OpType => "Exp";

    protected override ExpFunction FunctionOf(OpContext context) => new();
}
