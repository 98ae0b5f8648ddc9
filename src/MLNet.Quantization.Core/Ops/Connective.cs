using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>Two truths become one, broadcast as NumPy does.</summary>
internal abstract class Connective : Comparison
{
    protected sealed override ElementType[] Types { get; } = [ElementType.Bool];
}

/// <summary>x and y.</summary>
internal sealed class And : Connective
{
    public override string OpType => "And";

    protected override bool Holds<T>(T x, T y) => !T.IsZero(x) && !T.IsZero(y);
}

/// <summary>x or y, or both.</summary>
internal sealed class Or : Connective
{
    public override string OpType => "Or";

    protected override bool Holds<T>(T x, T y) => !T.IsZero(x) || !T.IsZero(y);
}

/// <summary>x or y, not both.</summary>
internal sealed class Xor : Connective
{
    public override string OpType => "Xor";

    protected override bool Holds<T>(T x, T y) => T.IsZero(x) != T.IsZero(y);
}
