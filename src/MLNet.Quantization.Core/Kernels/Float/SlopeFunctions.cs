using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Kernels;

/// <summary>∂ erf x / ∂x = 2 / √π · e^(-x²).</summary>
internal readonly struct ErfSlopeFunction : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        L.Multiply(L.Create(1.1283792f), new ExpFunction().Apply<L, TFloats, TInts>(L.Multiply(L.Multiply(L.Create(-1f), x), x)));
}

/// <summary>The slope of <see cref="GeluFunction"/>: (1 + erf(x / √2)) / 2 + x · e^(-x²/2) / √(2π), or, with t = tanh u, (1 + t) / 2 + x / 2 · (1 - t²) · u'.</summary>
internal readonly struct GeluSlopeFunction(bool byTanh) : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        TFloats square = L.Multiply(x, x), inner, past;
        if (byTanh)
        {
            inner = new TanhFunction().Apply<L, TFloats, TInts>(L.Multiply(L.Create(0.7978845608f), L.Fma(L.Create(0.044715f), L.Multiply(square, x), x)));
            var slope = L.Multiply(L.Create(0.7978845608f), L.Fma(L.Create(3 * 0.044715f), square, L.Create(1f)));
            past = L.Multiply(L.Multiply(L.Create(0.5f), x), L.Multiply(L.Subtract(L.Create(1f), L.Multiply(inner, inner)), slope));
        }
        else
        {
            inner = new ErfFunction().Apply<L, TFloats, TInts>(L.Multiply(x, L.Create(0.70710678f)));
            past = L.Multiply(L.Multiply(L.Create(0.39894228f), x), new ExpFunction().Apply<L, TFloats, TInts>(L.Multiply(L.Create(-0.5f), square)));
        }
        return L.Fma(L.Create(0.5f), L.Add(L.Create(1f), inner), past);
    }
}
