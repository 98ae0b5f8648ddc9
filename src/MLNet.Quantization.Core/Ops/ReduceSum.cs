using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>Σ x.</summary>
internal sealed partial class ReduceSum() : Reduction(axesAreInputFrom: 13)
{
    public override string OpType => "ReduceSum";

    protected override float Reduce(ReadOnlySpan<float> x, Span<float> scratch) => FloatReductions.Sum(x);

    protected override T Reduce<T>(ReadOnlySpan<T> x)
    {
        T sum = T.Zero;
        foreach (T element in x) sum = unchecked(sum + element);
        return sum;
    }

    protected override bool ReduceColumns(ReadOnlySpan<float> x, Span<float> y, Span<float> scratch)
    {
        FloatReductions.SumColumns(x, y.Length, y, scratch);
        return true;
    }
}
