using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>The greatest whole number that is not above x. Any shape, element-wise, float32.</summary>
internal sealed class Floor : MapOperator<FloorFunction>
{
    public override string OpType => "Floor";

    protected override FloorFunction FunctionOf(OpContext context) => default;
}
