using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = tanh x. Any shape, element-wise, float32.</summary>
internal sealed partial class Tanh : MapOperator<TanhFunction>
{
    public override string OpType => "Tanh";

    protected override TanhFunction FunctionOf(OpContext context) => new();
}
