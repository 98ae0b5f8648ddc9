using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>The element-wise product of two tensors, with broadcasting.</summary>
internal sealed partial class Mul : ArithmeticOperator<MultiplyFunction>
{
    public override string OpType => "Mul";

    protected override long Neutral => 1;

    protected override bool Commutes => true;

    protected override T Combine<T>(OpContext node, T x, T y) => unchecked(x * y);
}
