using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>ln Σ x, float32.</summary>
internal sealed class ReduceLogSum : Reduction
{
    public override string OpType => "ReduceLogSum";

    protected override ElementType[] IntegerTypes => [];

    protected override float Reduce(ReadOnlySpan<float> x, Span<float> scratch) => new LogFunction().Apply<LanesScalar, float, int>(FloatReductions.Sum(x));
}
