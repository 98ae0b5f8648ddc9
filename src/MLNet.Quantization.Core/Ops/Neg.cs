using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = -x. Any shape, element-wise; float32 and signed integers.</summary>
internal sealed partial class Neg : MapOperator<NegateFunction>
{
    public override string OpType => "Neg";

    protected override NegateFunction FunctionOf(OpContext context) => default;

    protected override ElementType[] IntegerTypes { get; } = [ElementType.Int32, ElementType.Int64, ElementType.Int8, ElementType.Int16];

    protected override T IntegerOf<T>(T x) => unchecked(T.Zero - x);
}
