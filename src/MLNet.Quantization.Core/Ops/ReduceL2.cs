using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>√Σ x²; of integers without its fraction.</summary>
internal sealed class ReduceL2 : Reduction
{
    public override string OpType => "ReduceL2";

    protected override bool NeedsScratch => true;

    protected override float Reduce(ReadOnlySpan<float> x, Span<float> scratch)
    {
        Elementwise.Combine<MultiplyFunction>(x, x, scratch);
        return MathF.Sqrt(FloatReductions.Sum(scratch));
    }

    protected override T Reduce<T>(ReadOnlySpan<T> x)
    {
        T sum = T.Zero;
        foreach (T element in x) sum = unchecked(sum + (element * element));
        return T.CreateSaturating(Math.Sqrt(double.CreateTruncating(sum)));
    }
}
