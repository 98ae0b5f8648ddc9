using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>The element-wise quotient of two tensors, with broadcasting; integers drop the fraction.</summary>
internal sealed partial class Div : ArithmeticOperator<DivideFunction>
{
    public override string OpType => "Div";

    protected override long Neutral => 1;

    protected override bool Commutes => false;

    protected override T Combine<T>(OpContext node, T x, T y)
    {
        if (T.IsZero(y)) throw node.Malformed("an integer is divided by 0");
        // The least integer over -1 has no quotient: like the other operators, it wraps.
        return T.IsNegative(y) && y + T.One == T.Zero ? unchecked(T.Zero - x) : x / y;
    }

    // A shape that divides by 0 is an error of the run that computes it, not of a branch that none takes.
    protected override ShapeEntry Combine(OpContext node, ElementType type, ShapeEntry x, ShapeEntry y) => y.Number == 0 ? default : base.Combine(node, type, x, y);
}
