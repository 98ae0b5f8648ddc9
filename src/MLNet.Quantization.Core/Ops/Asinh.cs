using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>The number whose hyperbolic sine is x. Any shape, element-wise, float32.</summary>
internal sealed class Asinh() : DoubleMapOperator(DoubleFunctions.Asinh)
{
    public override string OpType => "Asinh";
}
