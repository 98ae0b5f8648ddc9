using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>ln Σ e^x, float32, as max x + ln Σ e^(x - max x), which does not overflow.</summary>
internal sealed class ReduceLogSumExp : Reduction
{
    public override string OpType => "ReduceLogSumExp";

    protected override ElementType[] IntegerTypes => [];

    protected override bool NeedsScratch => true;

    protected override float Reduce(ReadOnlySpan<float> x, Span<float> scratch) => FloatReductions.LogSumExp(x, scratch);
}
