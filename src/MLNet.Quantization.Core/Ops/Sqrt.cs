using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = √x. Any shape, element-wise, float32.</summary>
internal sealed partial class Sqrt : MapOperator<SquareRootFunction>
{
    public override string OpType => "Sqrt";

    protected override SquareRootFunction FunctionOf(OpContext context) => default;
}
