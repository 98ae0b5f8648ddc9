using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// tanh x as a ratio, for gates: what follows can be joined before the one division. Within 3e-7 of tanh x everywhere; NaN stays NaN.
/// </summary>
/// <remarks>
/// With y = x / 2: y · p(y²) / q(y²), both of degree 4, after y is bound to ±9, where tanh rounds to ±1: a least-maximum fit of its own,
/// made in 40 digits, that lies within 2.1e-8 before rounding. The coefficients are those for x, so that the sigmoid of x, which needs
/// tanh(x / 2), takes x as it is: powers of two round nothing.
/// </remarks>
internal readonly struct GateRatio<TLanes, TFloats, TInts> where TLanes : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
{
    private const float Bound = 18;

    public readonly TFloats Numerator, Denominator;

    /// <summary>tanh(x / 2).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private GateRatio(TFloats x)
    {
        x = TLanes.Min(TLanes.Create(Bound), TLanes.Max(TLanes.Create(-Bound), x));
        var z = TLanes.Multiply(x, x);
        var p = TLanes.Fma(TLanes.Create(1.3324039649376118e-08f / 512), z, TLanes.Create(2.058456630038563e-05f / 128));
        p = TLanes.Fma(p, z, TLanes.Create(0.00349398679099977f / 32));
        p = TLanes.Fma(p, z, TLanes.Create(0.13379636406898499f / 8));
        p = TLanes.Fma(p, z, TLanes.Create(0.9999999403953552f / 2));
        var q = TLanes.Fma(TLanes.Create(7.763321718812222e-07f / 256), z, TLanes.Create(0.00032830960117280483f / 64));
        q = TLanes.Fma(q, z, TLanes.Create(0.02587076649069786f / 16));
        q = TLanes.Fma(q, z, TLanes.Create(0.46712949872016907f / 4));
        Numerator = TLanes.Multiply(x, p);
        Denominator = TLanes.Fma(q, z, TLanes.Create(1f));
    }

    /// <summary>tanh x = Numerator / Denominator.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static GateRatio<TLanes, TFloats, TInts> Tanh(TFloats x) => new(TLanes.Add(x, x));

    /// <summary>1 / (1 + e^-x) = ½ + ½ · tanh(x / 2), whose tanh this is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static GateRatio<TLanes, TFloats, TInts> Sigmoid(TFloats x) => new(x);

    /// <summary>Twice <see cref="Denominator"/>.</summary>
    public TFloats TwiceDenominator
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => TLanes.Add(Denominator, Denominator);
    }

    /// <summary>Of <see cref="Sigmoid"/>, what it is <see cref="TwiceDenominator"/> times.</summary>
    public TFloats Raised
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => TLanes.Add(Denominator, Numerator);
    }

    /// <summary>Of <see cref="Sigmoid"/>, what 1 less it is <see cref="TwiceDenominator"/> times.</summary>
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
