using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// tanh x as a ratio, for gates: what follows can be joined before the one division. Within 3e-7 of tanh x everywhere; NaN stays NaN.
/// </summary>
/// <remarks>
/// x · p(x²) / q(x²), both of degree 4, after x is bound to ±9, where tanh rounds to ±1: a least-maximum fit of its own, made in 40 digits,
/// that lies within 2.1e-8 before rounding.
/// </remarks>
internal readonly struct GateRatio<TLanes, TFloats, TInts> where TLanes : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
{
    private const float Bound = 9;

    public readonly TFloats Numerator, Denominator;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private GateRatio(TFloats x)
    {
        x = TLanes.Min(TLanes.Create(Bound), TLanes.Max(TLanes.Create(-Bound), x));
        var z = TLanes.Multiply(x, x);
        var p = TLanes.Fma(TLanes.Create(1.3324039649376118e-08f), z, TLanes.Create(2.058456630038563e-05f));
        p = TLanes.Fma(p, z, TLanes.Create(0.00349398679099977f));
        p = TLanes.Fma(p, z, TLanes.Create(0.13379636406898499f));
        p = TLanes.Fma(p, z, TLanes.Create(0.9999999403953552f));
        var q = TLanes.Fma(TLanes.Create(7.763321718812222e-07f), z, TLanes.Create(0.00032830960117280483f));
        q = TLanes.Fma(q, z, TLanes.Create(0.02587076649069786f));
        q = TLanes.Fma(q, z, TLanes.Create(0.46712949872016907f));
        Numerator = TLanes.Multiply(x, p);
        Denominator = TLanes.Fma(q, z, TLanes.Create(1f));
    }

    /// <summary>tanh x = Numerator / Denominator.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static GateRatio<TLanes, TFloats, TInts> Tanh(TFloats x) => new(x);

    /// <summary>1 / (1 + e^-x) = ½ + ½ · tanh(x / 2), whose tanh this is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static GateRatio<TLanes, TFloats, TInts> Sigmoid(TFloats x) => new(TLanes.Multiply(x, TLanes.Create(0.5f)));

    /// <summary>Of <see cref="Sigmoid"/>, what it is 2 · Denominator times.</summary>
    public TFloats Raised
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => TLanes.Add(Denominator, Numerator);
    }

    /// <summary>Of <see cref="Sigmoid"/>, what 1 less it is 2 · Denominator times.</summary>
    public TFloats Lowered
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => TLanes.Subtract(Denominator, Numerator);
    }

    /// <summary>Of <see cref="Sigmoid"/>, its value.</summary>
    public TFloats SigmoidValue
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => TLanes.Fma(TLanes.Create(0.5f), TLanes.Divide(Numerator, Denominator), TLanes.Create(0.5f));
    }
}
