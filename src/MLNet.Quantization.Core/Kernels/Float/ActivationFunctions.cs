using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Kernels;

/// <summary>scale · x where x is above 0, else scale · alpha · (e^(x / width) - 1): Elu, Selu and Celu.</summary>
internal readonly struct ExponentialLinearFunction(float alpha, float scale, float width) : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        var below = L.Multiply(L.Create(alpha), L.Subtract(ExpFunction.Of<L, TFloats, TInts>(L.Divide(x, L.Create(width))), L.Create(1f)));
        return L.Multiply(L.Create(scale), L.Select(L.Less(L.Create(0f), x), x, below));
    }
}

/// <summary>ln(1 + e^x) as max(x, 0) + ln(1 + e^-|x|), which never overflows.</summary>
internal readonly struct SoftplusFunction : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        Of<L, TFloats, TInts>(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats Of<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        var minusMagnitude = L.FromBits(L.Add(L.And(L.Bits(x), L.Create(int.MaxValue)), L.Create(int.MinValue)));
        var log = new LogFunction().Apply<L, TFloats, TInts>(L.Add(L.Create(1f), ExpFunction.Of<L, TFloats, TInts>(minusMagnitude)));
        return L.Add(L.Select(L.Less(x, L.Create(0f)), L.Create(0f), x), log);
    }
}

/// <summary>x · tanh(ln(1 + e^x)). Of two NaNs processors multiply either one, so NaN goes around.</summary>
internal readonly struct MishFunction : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        L.Select(L.Equal(x, x), L.Multiply(x, new TanhFunction().Apply<L, TFloats, TInts>(SoftplusFunction.Of<L, TFloats, TInts>(x))), x);
}

/// <summary>x / (1 + |x|).</summary>
internal readonly struct SoftsignFunction : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        L.Divide(x, L.Add(L.Create(1f), L.FromBits(L.And(L.Bits(x), L.Create(int.MaxValue)))));
}

/// <summary>x above the threshold, else 0.</summary>
internal readonly struct ThresholdFunction(float threshold) : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        L.Select(L.Less(L.Create(threshold), x), x, L.Create(0f));
}

/// <summary>x + bias below -threshold, x - bias above it, else 0; NaN gives 0.</summary>
internal readonly struct ShrinkFunction(float threshold, float bias) : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        var above = L.Select(L.Less(L.Create(threshold), x), L.Subtract(x, L.Create(bias)), L.Create(0f));
        return L.Select(L.Less(x, L.Create(-threshold)), L.Add(x, L.Create(bias)), above);
    }
}

/// <summary>|x|.</summary>
internal readonly struct AbsoluteFunction : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        L.FromBits(L.And(L.Bits(x), L.Create(int.MaxValue)));
}

/// <summary>-x.</summary>
internal readonly struct NegateFunction : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        L.FromBits(L.Add(L.Bits(x), L.Create(int.MinValue)));
}

/// <summary>x where it is 0 or more, else slope · x.</summary>
internal readonly struct SlopeFunction : IBinaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats Apply<L, TFloats, TInts>(TFloats x, TFloats y) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        L.Select(L.Less(x, L.Create(0f)), L.Multiply(y, x), x);
}
