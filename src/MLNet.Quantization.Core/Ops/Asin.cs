using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>The angle from -π/2 to π/2 whose sine is x; NaN where |x| is above 1. Any shape, element-wise, float32.</summary>
internal sealed class Asin() : DoubleMapOperator(DoubleFunctions.Asin)
{
    public override string OpType => "Asin";
}
