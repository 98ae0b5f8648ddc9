using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>Σ |x|.</summary>
internal sealed class ReduceL1 : Reduction
{
    public override string OpType => "ReduceL1";

    protected override bool NeedsScratch => true;

    protected override float Reduce(ReadOnlySpan<float> x, Span<float> scratch)
    {
        Elementwise.Map(new AbsoluteFunction(), x, scratch);
        return FloatReductions.Sum(scratch);
    }

    protected override T Reduce<T>(ReadOnlySpan<T> x)
    {
        T sum = T.Zero;
        foreach (T element in x) sum = unchecked(T.IsNegative(element) ? sum - element : sum + element);
        return sum;
    }
}
