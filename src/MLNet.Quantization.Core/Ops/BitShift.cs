using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>Unsigned integers x shifted by y bits in <c>direction</c> LEFT or RIGHT, broadcast as NumPy does; 0 where all bits leave.</summary>
internal sealed class BitShift : BinaryOperator
{
    public override string OpType => "BitShift";

    protected override ElementType[] Types { get; } = [ElementType.UInt8, ElementType.UInt16, ElementType.UInt32, ElementType.UInt64];

    public override ValueFact[] Infer(OpContext context) =>
        context.Attribute("direction", "") is "LEFT" or "RIGHT" ? base.Infer(context) : throw context.Malformed($"direction is '{context.Attribute("direction", "")}', expected LEFT or RIGHT");

    protected override T Combine<T>(OpContext node, T x, T y)
    {
        int bits = x.GetByteCount() * 8;
        if (y >= T.CreateTruncating(bits)) return T.Zero;
        return node.Attribute("direction", "") == "LEFT" ? x << int.CreateTruncating(y) : x >>> int.CreateTruncating(y);
    }
}
