using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>The least element; of nothing, the greatest value of the type. NaN does not count.</summary>
internal sealed class ReduceMin : Reduction
{
    public override string OpType => "ReduceMin";

    protected override ElementType[] IntegerTypes => Ordered;

    protected override float Reduce(ReadOnlySpan<float> x, Span<float> scratch) => FloatReductions.Min(x);

    protected override T Reduce<T>(ReadOnlySpan<T> x)
    {
        T best = T.MaxValue;
        foreach (T element in x) best = T.Min(best, element);
        return best;
    }
}
