using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>How a product of two computed matrices is computed.</summary>
internal enum PairKind
{
    Float,

    /// <summary>INT8, by the ranges of the left factor's rows and the right one's columns.</summary>
    Dynamic,

    /// <summary>INT8, by fixed scales.</summary>
    Static,
}

/// <summary>
/// A product of two activations as a node's attributes have it: pair (a <see cref="PairKind"/>), a_scale, a_zero_point, b_scale,
/// b_zero_point, behind a prefix where the node has several.
/// </summary>
/// <param name="Kind">How.</param>
/// <param name="AType">Of the left factor.</param>
/// <param name="A">Static: of its codes, u8 where it is float32.</param>
/// <param name="BType">Of the right factor.</param>
/// <param name="B">Static: of its codes.</param>
internal sealed record PairForm(PairKind Kind, FactorType AType, AffineParameters A, FactorType BType, AffineParameters B)
{
    public const string KindAttribute = "pair";

    /// <summary>The attributes of a static form.</summary>
    public static AttributeMap Static(AttributeMap attributes, AffineParameters a, AffineParameters b) =>
        attributes.With(KindAttribute, (long)PairKind.Static).With("a_scale", a.Scale).With("a_zero_point", a.ZeroPoint).With("b_scale", b.Scale).With("b_zero_point", b.ZeroPoint);

    /// <summary>The attributes of a node with one product as those of a node with several.</summary>
    public static AttributeMap Prefixed(AttributeMap attributes, string prefix, AttributeMap result)
    {
        foreach (var (name, value) in attributes) result = result.With(prefix + name, value);
        return result;
    }

    /// <param name="context">The node.</param>
    /// <param name="prefix">Before the names of its attributes.</param>
    /// <param name="a">Type of the left factor.</param>
    /// <param name="b">Type of the right factor.</param>
    public static PairForm Read(OpContext context, string prefix, ElementType a, ElementType b)
    {
        AffineParameters Parameters(string factor) => new(context.Attribute($"{prefix}{factor}_scale", 1f), (int)context.Attribute($"{prefix}{factor}_zero_point", 0L));
        var kind = (PairKind)context.Attribute($"{prefix}{KindAttribute}", 0L);
        if (kind != PairKind.Static && (a, b) != (ElementType.Float, ElementType.Float)) throw context.Malformed($"factors {a} and {b} have no fixed scales");
        return new(kind, TypeOf(a), Parameters("a"), TypeOf(b), Parameters("b"));
    }

    private static FactorType TypeOf(ElementType type) => type switch { ElementType.UInt8 => FactorType.UInt8, ElementType.Int8 => FactorType.Int8, _ => FactorType.Float };

    public static int BytesOf(FactorType type) => type == FactorType.Float ? sizeof(float) : 1;

    /// <exception cref="UnsupportedOperatorException">Static: the sums are too long to be exact.</exception>
    public PairProduct Create(OpContext context, int k, int n) => Kind switch
    {
        // Beyond, a sum could leave int32: in float such a product means the same.
        PairKind.Dynamic when k <= DynamicPair.MostK => new DynamicPair(k, n),
        PairKind.Static when k > StaticPair.MostK => throw context.Unsupported($"its sums run over {k} products of codes, supported are {StaticPair.MostK}; leave the node in float"),
        PairKind.Static => new StaticPair(k, n, AType, A, BType, B),
        _ => new FloatPair(k, n),
    };
}
