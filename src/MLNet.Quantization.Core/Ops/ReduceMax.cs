using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>The greatest element; of nothing, the least value of the type. NaN does not count.</summary>
internal sealed class ReduceMax : Reduction
{
    public override string OpType => "ReduceMax";

    protected override ElementType[] IntegerTypes => Ordered;

    protected override float Reduce(ReadOnlySpan<float> x, Span<float> scratch) => FloatReductions.Max(x);

    protected override T Reduce<T>(ReadOnlySpan<T> x)
    {
        T best = T.MinValue;
        foreach (T element in x) best = T.Max(best, element);
        return best;
    }
}
