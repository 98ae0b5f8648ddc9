using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>The mean of one or more tensors: their sum, the first first, by their number; float32.</summary>
internal sealed class Mean : VariadicOperator
{
    public override string OpType => "Mean";

    protected override ElementType[] Types { get; } = [ElementType.Float];

    protected override T Join<T>(T x, T y) => x + y;

    protected override void Join(ReadOnlySpan<float> x, Span<float> y) => Elementwise.Combine<AddFunction>(y, x, y);

    protected override void Finish(Span<float> y, int inputs) => Elementwise.Combine<DivideFunction>(y, [inputs], y);
}
