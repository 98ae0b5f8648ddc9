using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>The angle from 0 to π whose cosine is x; NaN where |x| is above 1. Any shape, element-wise, float32.</summary>
internal sealed class Acos() : DoubleMapOperator(DoubleFunctions.Acos)
{
    public override string OpType => "Acos";
}
