using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>tan x. Any shape, element-wise, float32.</summary>
internal sealed class Tan() : DoubleMapOperator(DoubleFunctions.Tan)
{
    public override string OpType => "Tan";
}
