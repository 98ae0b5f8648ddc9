using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>The element-wise sum of two tensors, with broadcasting.</summary>
internal sealed partial class Add : ArithmeticOperator<AddFunction>
{
    public override string OpType => "Add";

    protected override long Neutral => 0;

    protected override bool Commutes => true;

    protected override T Combine<T>(OpContext node, T x, T y) => unchecked(x + y);
}
