using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>The number from 0 on whose hyperbolic cosine is x; NaN where x is below 1. Any shape, element-wise, float32.</summary>
internal sealed class Acosh() : DoubleMapOperator(DoubleFunctions.Acosh)
{
    public override string OpType => "Acosh";
}
