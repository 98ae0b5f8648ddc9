using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Kernels;

/// <summary>x / 2 · (1 + erf(x / √2)), or by tanh: x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 · x³))).</summary>
internal readonly struct GeluFunction(bool byTanh) : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        TFloats inner;
        if (byTanh)
        {
            var cube = L.Multiply(L.Multiply(x, x), x);
            inner = new TanhFunction().Apply<L, TFloats, TInts>(L.Multiply(L.Create(0.7978845608f), L.Fma(L.Create(0.044715f), cube, x)));
        }
        else
        {
            inner = new ErfFunction().Apply<L, TFloats, TInts>(L.Multiply(x, L.Create(0.70710678f)));
        }
        return L.Multiply(L.Multiply(L.Create(0.5f), x), L.Add(L.Create(1f), inner));
    }
}
