using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = erf x. Any shape, element-wise, float32.</summary>
internal sealed partial class Erf : MapOperator<ErfFunction>
{
    public override string OpType => "Erf";

    protected override ErfFunction FunctionOf(OpContext context) => new();
}
