using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Kernels;

/// <summary>max(x, 0); NaN stays NaN.</summary>
internal readonly struct ReluFunction : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        L.Select(L.Less(x, L.Create(0f)), L.Create(0f), x);
}

/// <summary>x where 0 or more, else slope · x.</summary>
internal readonly struct LeakyReluFunction(float slope) : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        L.Select(L.Less(x, L.Create(0f)), L.Multiply(L.Create(slope), x), x);
}

/// <summary>min(max(x, low), high); NaN stays NaN, and high wins where low is greater.</summary>
internal readonly struct ClipFunction(float low, float high) : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        var y = L.Select(L.Less(x, L.Create(low)), L.Create(low), x);
        return L.Select(L.Less(L.Create(high), y), L.Create(high), y);
    }
}

/// <summary>e^x, within 1.1 units in the last place; denormal results included.</summary>
/// <remarks>
/// x = n · ln 2 + r with |r| at most half of ln 2, ln 2 in two parts so that r is exact; e^r by the exponential series to r^7, whose
/// first term left out is below 6e-9; then times 2^n in two steps, so that denormal results are rounded once.
/// </remarks>
internal readonly struct ExpFunction : IUnaryFunction
{
    private const float Log2E = 1.44269504f;

    /// <summary>ln 2 with 9 low bits clear: its product with n is exact.</summary>
    private const float Ln2High = 0.693359375f;

    private const float Ln2Low = -2.12194440e-4f;

    /// <summary>Added to a small float32, it leaves the value rounded to an integer in the low bits.</summary>
    private const float Rounder = 12582912;

    private const int RounderBits = 0x4B400000;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged => Of<L, TFloats, TInts>(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats Of<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        // Beyond these the result is infinity or 0 anyway; NaN passes both comparisons.
        x = L.Select(L.Less(x, L.Create(-105f)), L.Create(-105f), x);
        x = L.Select(L.Less(L.Create(90f), x), L.Create(90f), x);
        var shifted = L.Fma(x, L.Create(Log2E), L.Create(Rounder));
        var n = L.Subtract(shifted, L.Create(Rounder));
        var r = L.Fma(n, L.Create(-Ln2High), x);
        r = L.Fma(n, L.Create(-Ln2Low), r);
        var p = L.Create(1f / 5040);
        p = L.Fma(p, r, L.Create(1f / 720));
        p = L.Fma(p, r, L.Create(1f / 120));
        p = L.Fma(p, r, L.Create(1f / 24));
        p = L.Fma(p, r, L.Create(1f / 6));
        p = L.Fma(p, r, L.Create(0.5f));
        p = L.Fma(L.Multiply(p, r), r, r);
        p = L.Add(p, L.Create(1f));
        var power = L.Subtract(L.Bits(shifted), L.Create(RounderBits));
        var half = L.ShiftRight(power, 1);
        return L.Multiply(L.Multiply(p, PowerOfTwo<L, TFloats, TInts>(half)), PowerOfTwo<L, TFloats, TInts>(L.Subtract(power, half)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TFloats PowerOfTwo<L, TFloats, TInts>(TInts n) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        L.FromBits(L.ShiftLeft(L.Add(n, L.Create(127)), 23));
}

/// <summary>ln x, within 1 unit in the last place; -infinity for 0, NaN below.</summary>
/// <remarks>
/// x = 2^e · (1 + f) with 1 + f from √½ to √2. With s = f / (2 + f), ln(1 + f) = 2·artanh s = f - (f²/2 - s · (f²/2 + R)), where R is the
/// series of artanh beyond its first term; the form keeps f exact.
/// </remarks>
internal readonly struct LogFunction : IUnaryFunction
{
    private const int SqrtHalfBits = 0x3F3504F3;
    private const float Ln2High = 0.693359375f;
    private const float Ln2Low = -2.12194440e-4f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        var isDenormal = L.Less(x, L.Create(1.17549435e-38f));
        var normal = L.Select(isDenormal, L.Multiply(x, L.Create(8388608f)), x);
        // The exponent relative to √½, so that what is left lies around 1.
        var bits = L.Subtract(L.Bits(normal), L.Create(SqrtHalfBits));
        var e = L.ToFloat(L.ShiftRight(bits, 23));
        e = L.Select(isDenormal, L.Subtract(e, L.Create(23f)), e);
        var f = L.Subtract(L.FromBits(L.Add(L.And(bits, L.Create(0x007FFFFF)), L.Create(SqrtHalfBits))), L.Create(1f));
        var s = L.Divide(f, L.Add(L.Create(2f), f));
        var z = L.Multiply(s, s);
        var p = L.Create(2f / 13);
        p = L.Fma(p, z, L.Create(2f / 11));
        p = L.Fma(p, z, L.Create(2f / 9));
        p = L.Fma(p, z, L.Create(2f / 7));
        p = L.Fma(p, z, L.Create(2f / 5));
        p = L.Fma(p, z, L.Create(2f / 3));
        var halfSquare = L.Multiply(L.Multiply(L.Create(0.5f), f), f);
        var inner = L.Multiply(s, L.Fma(z, p, halfSquare));
        var small = L.Subtract(halfSquare, L.Fma(e, L.Create(Ln2Low), inner));
        var y = L.Fma(e, L.Create(Ln2High), L.Subtract(f, small));
        y = L.Select(L.Less(x, L.Create(float.PositiveInfinity)), y, x);
        y = L.Select(L.Less(x, L.Create(0f)), L.Create(float.NaN), y);
        return L.Select(L.Equal(x, L.Create(0f)), L.Create(float.NegativeInfinity), y);
    }
}

/// <summary>tanh x, within 2 units in the last place.</summary>
/// <remarks>Up to 1 by Lambert's continued fraction to its sixth denominator, which is exact to float32 there, written as what x loses; beyond, 1 - 2 / (e^2|x| + 1).</remarks>
internal readonly struct TanhFunction : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        var magnitude = L.FromBits(L.And(L.Bits(x), L.Create(int.MaxValue)));
        var isSmall = L.Less(magnitude, L.Create(1f));
        var z = L.Multiply(x, x);
        // Beyond 1 the fraction is not used; 1 keeps it from overflowing.
        z = L.Select(isSmall, z, L.Create(1f));
        var above = L.Multiply(L.Fma(L.Add(z, L.Create(189f)), z, L.Create(3465f)), z);
        var below = L.Fma(L.Fma(L.Add(z, L.Create(210f)), z, L.Create(4725f)), z, L.Create(10395f));
        var power = ExpFunction.Of<L, TFloats, TInts>(L.Add(magnitude, magnitude));
        // One division for both: they take most of the time.
        var quotient = L.Divide(L.Select(isSmall, above, L.Create(2f)), L.Select(isSmall, below, L.Add(power, L.Create(1f))));
        var small = L.Subtract(x, L.Multiply(x, quotient));
        var large = L.Subtract(L.Create(1f), quotient);
        large = L.Select(L.Less(x, L.Create(0f)), L.Subtract(L.Create(0f), large), large);
        return L.Select(isSmall, small, large);
    }
}

/// <summary>1 / (1 + e^-x), within 2.5 units in the last place; never overflows on the way.</summary>
internal readonly struct SigmoidFunction : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        var minusMagnitude = L.FromBits(L.Add(L.And(L.Bits(x), L.Create(int.MaxValue)), L.Create(int.MinValue)));
        var power = ExpFunction.Of<L, TFloats, TInts>(minusMagnitude);
        var above = L.Select(L.Less(x, L.Create(0f)), power, L.Create(1f));
        return L.Divide(above, L.Add(L.Create(1f), power));
    }
}

/// <summary>erf x = 2/√π · ∫ from 0 to x of e^(-t²) dt, within 1.2 units in the last place.</summary>
/// <remarks>
/// Up to 15/16, x + x · p(x²); beyond, 1 - e^(|x| · q(|x|)), since the logarithm of 1 - erf is smooth; from 4 on that is 1. p and q are
/// least-maximum fits, of p's error 5e-10 and of q's effect on the result 3e-9, made from erf in 40 digits.
/// </remarks>
internal readonly struct ErfFunction : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        var magnitude = L.FromBits(L.And(L.Bits(x), L.Create(int.MaxValue)));
        var isSmall = L.Less(magnitude, L.Create(0.9375f));
        // Beyond 15/16 the first form is not used; 1 keeps it from overflowing.
        var s = L.Select(isSmall, L.Multiply(x, x), L.Create(1f));
        var p = L.Create(8.29660858e-05f);
        p = L.Fma(p, s, L.Create(-0.000812580576f));
        p = L.Fma(p, s, L.Create(0.00519960001f));
        p = L.Fma(p, s, L.Create(-0.0268588513f));
        p = L.Fma(p, s, L.Create(0.11283686f));
        p = L.Fma(p, s, L.Create(-0.376126319f));
        p = L.Fma(p, s, L.Create(0.128379166f));
        var small = L.Fma(x, p, x);
        var t = L.Select(L.Less(L.Create(4f), magnitude), L.Create(4f), magnitude);
        var q = L.Create(0.000214600703f);
        q = L.Fma(q, t, L.Create(-0.0032200159f));
        q = L.Fma(q, t, L.Create(0.0229061414f));
        q = L.Fma(q, t, L.Create(-0.105287001f));
        q = L.Fma(q, t, L.Create(-0.635699272f));
        q = L.Fma(q, t, L.Create(-1.12852001f));
        var large = L.Subtract(L.Create(1f), ExpFunction.Of<L, TFloats, TInts>(L.Multiply(q, t)));
        large = L.Select(L.Less(x, L.Create(0f)), L.Subtract(L.Create(0f), large), large);
        return L.Select(isSmall, small, large);
    }
}

internal readonly struct AddFunction : IBinaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats Apply<L, TFloats, TInts>(TFloats x, TFloats y) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged => L.Add(x, y);
}

internal readonly struct SubtractFunction : IBinaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats Apply<L, TFloats, TInts>(TFloats x, TFloats y) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged => L.Subtract(x, y);
}

internal readonly struct MultiplyFunction : IBinaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats Apply<L, TFloats, TInts>(TFloats x, TFloats y) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged => L.Multiply(x, y);
}

internal readonly struct DivideFunction : IBinaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats Apply<L, TFloats, TInts>(TFloats x, TFloats y) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged => L.Divide(x, y);
}
