using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Kernels;

/// <summary>x rounded to a whole number, to the even one of two that are as near; keeps the sign of 0.</summary>
/// <remarks>2^23 added to a smaller magnitude leaves no fraction, and the sum is rounded as wanted. From there on every float32 is whole.</remarks>
internal readonly struct RoundFunction : IUnaryFunction
{
    private const float NoFraction = 8388608;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged => Of<L, TFloats, TInts>(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats Of<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        var magnitude = L.FromBits(L.And(L.Bits(x), L.Create(int.MaxValue)));
        var whole = L.Subtract(L.Add(magnitude, L.Create(NoFraction)), L.Create(NoFraction));
        return L.Select(L.Less(magnitude, L.Create(NoFraction)), WithSignOf<L, TFloats, TInts>(x, whole), x);
    }

    /// <summary>|y| with the sign of x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats WithSignOf<L, TFloats, TInts>(TFloats x, TFloats y) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        L.FromBits(L.Add(L.And(L.Bits(y), L.Create(int.MaxValue)), L.And(L.Bits(x), L.Create(int.MinValue))));
}

/// <summary>The greatest whole number that is not above x; keeps the sign of 0.</summary>
internal readonly struct FloorFunction : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        var near = RoundFunction.Of<L, TFloats, TInts>(x);
        return RoundFunction.WithSignOf<L, TFloats, TInts>(x, L.Select(L.Less(x, near), L.Subtract(near, L.Create(1f)), near));
    }
}

/// <summary>The least whole number that is not below x; keeps the sign of 0, and of what lies between -1 and 0.</summary>
internal readonly struct CeilingFunction : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        var near = RoundFunction.Of<L, TFloats, TInts>(x);
        return RoundFunction.WithSignOf<L, TFloats, TInts>(x, L.Select(L.Less(near, x), L.Add(near, L.Create(1f)), near));
    }
}

/// <summary>1, 0 or -1 as x is above, at or below 0; NaN stays NaN.</summary>
internal readonly struct SignFunction : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        L.Select(L.Less(x, L.Create(0f)), L.Create(-1f), L.Select(L.Less(L.Create(0f), x), L.Create(1f), L.Add(x, L.Create(0f))));
}
