using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>The mean; of integers without its fraction, and 0 of nothing.</summary>
internal sealed partial class ReduceMean : Reduction
{
    public override string OpType => "ReduceMean";

    protected override float Reduce(ReadOnlySpan<float> x, Span<float> scratch) => FloatReductions.Sum(x) / x.Length;

    protected override T Reduce<T>(ReadOnlySpan<T> x)
    {
        T sum = T.Zero;
        foreach (T element in x) sum = unchecked(sum + element);
        return x.IsEmpty ? sum : sum / T.CreateTruncating(x.Length);
    }

    protected override bool ReduceColumns(ReadOnlySpan<float> x, Span<float> y, Span<float> scratch)
    {
        FloatReductions.SumColumns(x, y.Length, y, scratch);
        Elementwise.Combine<DivideFunction>(y, [x.Length / y.Length], y);
        return true;
    }
}
