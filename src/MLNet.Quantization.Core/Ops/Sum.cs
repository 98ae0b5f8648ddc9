using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>The sum of one or more tensors, the first first; float32.</summary>
internal sealed class Sum : VariadicOperator
{
    public override string OpType => "Sum";

    protected override ElementType[] Types { get; } = [ElementType.Float];

    protected override T Join<T>(T x, T y) => x + y;

    protected override void Join(ReadOnlySpan<float> x, Span<float> y) => Elementwise.Combine<AddFunction>(y, x, y);
}
