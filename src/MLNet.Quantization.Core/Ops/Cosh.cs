using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>(e^x + e^-x) / 2. Any shape, element-wise, float32.</summary>
internal sealed class Cosh() : DoubleMapOperator(DoubleFunctions.Cosh)
{
    public override string OpType => "Cosh";
}
