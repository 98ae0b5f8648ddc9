using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>The element-wise difference of two tensors, with broadcasting.</summary>
internal sealed partial class Sub : ArithmeticOperator<SubtractFunction>
{
    public override string OpType => "Sub";

    protected override long Neutral => 0;

    protected override bool Commutes => false;

    protected override T Combine<T>(OpContext node, T x, T y) => unchecked(x - y);
}
