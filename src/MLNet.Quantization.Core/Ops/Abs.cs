using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = |x|. Any shape, element-wise; float32 and integers, whose least one stays as it is.</summary>
internal sealed partial class Abs : MapOperator<AbsoluteFunction>
{
    public override string OpType => "Abs";

    protected override AbsoluteFunction FunctionOf(OpContext context) => default;

    protected override ElementType[] IntegerTypes => NumberTypes.Integers;

    protected override T IntegerOf<T>(T x) => T.IsNegative(x) ? unchecked(T.Zero - x) : x;
}
