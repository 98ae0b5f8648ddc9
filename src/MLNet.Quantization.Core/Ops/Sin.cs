using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>sin x; NaN of what is not finite. Any shape, element-wise, float32.</summary>
internal sealed class Sin : MapOperator<SineFunction>
{
    public override string OpType => "Sin";

    protected override SineFunction FunctionOf(OpContext context) => new(quarters: 0);

    protected override void Map(in SineFunction function, ReadOnlySpan<float> x, Span<float> y) => function.Map(x, y);
}
