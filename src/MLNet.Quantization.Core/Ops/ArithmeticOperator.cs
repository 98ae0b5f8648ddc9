using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>A <see cref="BinaryOperator"/> of float32, by the kernels, and of integers.</summary>
internal abstract class ArithmeticOperator<TFunction> : BinaryOperator where TFunction : struct, IBinaryFunction
{
    protected sealed override ElementType[] Types => NumberTypes.All;

    /// <summary>The number that leaves the other side as it is, on the right, and on the left where <see cref="Commutes"/>.</summary>
    protected abstract long Neutral { get; }

    protected abstract bool Commutes { get; }

    protected override bool TakesRows => true;

    protected override void Floats(OpContext node, ReadOnlySpan<float> a, ReadOnlySpan<float> b, Span<float> y)
    {
        if (b.Length > 1 && b.Length < y.Length) Elementwise.CombineRows<TFunction>(a, b, y);
        else Elementwise.Combine<TFunction>(a, b, y);
    }

    protected override ShapeEntry Combine(OpContext node, ElementType type, ShapeEntry x, ShapeEntry y) =>
        y.Number == Neutral ? x : x.Number == Neutral && Commutes ? y : base.Combine(node, type, x, y);
}
