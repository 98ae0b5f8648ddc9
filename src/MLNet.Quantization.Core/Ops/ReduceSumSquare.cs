using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>Σ x².</summary>
internal sealed class ReduceSumSquare : Reduction
{
    public override string OpType => "ReduceSumSquare";

    protected override bool NeedsScratch => true;

    protected override float Reduce(ReadOnlySpan<float> x, Span<float> scratch)
    {
        Elementwise.Combine<MultiplyFunction>(x, x, scratch);
        return FloatReductions.Sum(scratch);
    }

    protected override T Reduce<T>(ReadOnlySpan<T> x)
    {
        T sum = T.Zero;
        foreach (T element in x) sum = unchecked(sum + (element * element));
        return sum;
    }
}
