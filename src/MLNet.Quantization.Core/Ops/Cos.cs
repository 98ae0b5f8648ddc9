using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>cos x; NaN of what is not finite. Any shape, element-wise, float32.</summary>
internal sealed class Cos : MapOperator<SineFunction>
{
    public override string OpType => "Cos";

    protected override SineFunction FunctionOf(OpContext context) => new(quarters: 1);

    protected override void Map(in SineFunction function, ReadOnlySpan<float> x, Span<float> y) => function.Map(x, y);
}
