using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>Unsigned integers x shifted by y bits in <c>direction</c> LEFT or RIGHT, broadcast as NumPy does; 0 where all bits leave.</summary>
/// <param name="toLeft">By a node's <c>direction</c>.</param>
internal sealed class BitShift(bool toLeft = false) : BinaryOperator
{
    public override string OpType => "BitShift";

    protected override ElementType[] Types { get; } = [ElementType.UInt8, ElementType.UInt16, ElementType.UInt32, ElementType.UInt64];

    public override ValueFact[] Infer(OpContext context) =>
        Direction(context) is "LEFT" or "RIGHT" ? base.Infer(context) : throw context.Malformed($"direction is '{Direction(context)}', expected LEFT or RIGHT");

    protected override BinaryOperator For(OpContext context) => new BitShift(Direction(context) == "LEFT");

    protected override T Combine<T>(OpContext node, T x, T y)
    {
        int bits = x.GetByteCount() * 8;
        if (y >= T.CreateTruncating(bits)) return T.Zero;
        return toLeft ? x << int.CreateTruncating(y) : x >>> int.CreateTruncating(y);
    }

    private static string Direction(OpContext context) => context.Attribute("direction", "");
}
