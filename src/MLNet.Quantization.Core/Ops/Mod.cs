using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// What is left of x after division by y, broadcast as NumPy does: with y's sign, of integers; with x's sign where <c>fmod</c> is 1, of
/// integers and float32, whose remainder is exact.
/// </summary>
/// <param name="keepsSign">By a node's <c>fmod</c>.</param>
internal sealed class Mod(bool keepsSign = false) : BinaryOperator
{
    public override string OpType => "Mod";

    protected override ElementType[] Types => NumberTypes.All;

    public override ValueFact[] Infer(OpContext context) =>
        context.Input(0).Type == ElementType.Float && !KeepsSign(context) ? throw context.Malformed("fmod is 0 for Float, expected 1") : base.Infer(context);

    protected override BinaryOperator For(OpContext context) => new Mod(KeepsSign(context));

    protected override T Combine<T>(OpContext node, T x, T y)
    {
        if (T.IsZero(y)) throw node.Malformed("an integer is divided by 0");
        // The least integer by -1 has a remainder, but no quotient that the processor could give with it.
        if (T.IsNegative(y) && y + T.One == T.Zero) return T.Zero;
        T rest = x % y;
        return !keepsSign && !T.IsZero(rest) && T.IsNegative(rest) != T.IsNegative(y) ? rest + y : rest;
    }

    // A shape that divides by 0 is an error of the run that computes it.
    protected override ShapeEntry Combine(OpContext node, ElementType type, ShapeEntry x, ShapeEntry y) => y.Number == 0 ? default : base.Combine(node, type, x, y);

    protected override void Floats(OpContext node, ReadOnlySpan<float> a, ReadOnlySpan<float> b, Span<float> y)
    {
        float oneA = a[0], oneB = b[0];
        for (int i = 0; i < y.Length; i++) y[i] = (a.Length > 1 ? a[i] : oneA) % (b.Length > 1 ? b[i] : oneB);
    }

    private static bool KeepsSign(OpContext context) => context.Attribute("fmod", 0L) != 0;
}
