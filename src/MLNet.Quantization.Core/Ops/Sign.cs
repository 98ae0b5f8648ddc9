using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>1, 0 or -1 as x is above, at or below 0; NaN stays NaN. Any shape, element-wise; float32 and integers.</summary>
internal sealed class Sign : MapOperator<SignFunction>
{
    public override string OpType => "Sign";

    protected override SignFunction FunctionOf(OpContext context) => default;

    protected override ElementType[] IntegerTypes => NumberTypes.Integers;

    protected override T IntegerOf<T>(T x) => T.IsZero(x) ? T.Zero : T.IsNegative(x) ? unchecked(T.Zero - T.One) : T.One;
}
