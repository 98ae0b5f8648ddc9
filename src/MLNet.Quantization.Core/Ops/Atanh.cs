using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>The number whose hyperbolic tangent is x; NaN where |x| is above 1. Any shape, element-wise, float32.</summary>
internal sealed class Atanh() : DoubleMapOperator(DoubleFunctions.Atanh)
{
    public override string OpType => "Atanh";
}
