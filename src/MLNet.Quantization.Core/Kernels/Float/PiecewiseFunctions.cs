using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Kernels;

/// <summary>max(0, min(1, slope · x + offset)), the product and the sum each rounded; NaN stays NaN.</summary>
internal readonly struct HardSigmoidFunction(float slope, float offset) : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        Of<L, TFloats, TInts>(x, slope, offset);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats Of<L, TFloats, TInts>(TFloats x, float slope, float offset) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        var y = L.Add(L.Multiply(x, L.Create(slope)), L.Create(offset));
        y = L.Select(L.Less(y, L.Create(0f)), L.Create(0f), y);
        return L.Select(L.Less(L.Create(1f), y), L.Create(1f), y);
    }
}

/// <summary>x · max(0, min(1, x / 6 + 0.5)). Of two NaNs processors multiply either one, so NaN goes around.</summary>
internal readonly struct HardSwishFunction : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        L.Select(L.Equal(x, x), L.Multiply(x, HardSigmoidFunction.Of<L, TFloats, TInts>(x, 1f / 6, 0.5f)), x);
}

/// <summary>√x, rounded once; NaN below 0.</summary>
internal readonly struct SquareRootFunction : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged => L.SquareRoot(x);
}

/// <summary>1 / x.</summary>
internal readonly struct ReciprocalFunction : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged => L.Divide(L.Create(1f), x);
}
