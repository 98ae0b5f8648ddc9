using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = x above <c>alpha</c>, by default 1, else 0. Any shape, element-wise, float32.</summary>
internal sealed class ThresholdedRelu : MapOperator<ThresholdFunction>
{
    public override string OpType => "ThresholdedRelu";

    protected override ThresholdFunction FunctionOf(OpContext context) => new(context.Attribute("alpha", 1f));
}
