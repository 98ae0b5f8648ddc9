using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = 1 / (1 + e^-x). Any shape, element-wise, float32.</summary>
internal sealed partial class Sigmoid : MapOperator<SigmoidFunction>
{
    public override string OpType => "Sigmoid";

    protected override SigmoidFunction FunctionOf(OpContext context) => new();
}
