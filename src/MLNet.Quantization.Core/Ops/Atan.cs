using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>The angle from -π/2 to π/2 whose tangent is x. Any shape, element-wise, float32.</summary>
internal sealed class Atan() : DoubleMapOperator(DoubleFunctions.Atan)
{
    public override string OpType => "Atan";
}
