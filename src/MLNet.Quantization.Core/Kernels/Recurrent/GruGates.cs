using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// z = f(xz + hz), r = f(xr + hr), then H = (1 - z) ⊙ g(xh + r ⊙ hh) + z ⊙ h: the ONNX standard's GRU with linear_before_reset, gates in
/// the order z, r, h.
/// </summary>
internal sealed unsafe class GruGates(GateActivation f, GateActivation g, FloatTier? tier = null) : RecurrentGates(tier)
{
    private readonly bool _isUsual = f.Kind == GateFunctionKind.Sigmoid && g.Kind == GateFunctionKind.Tanh;

    public override void Run(GateArguments* a)
    {
        switch (Lanes)
        {
            case 16: Run<Lanes512, Vector512<float>, Vector512<int>>(a); break;
            case 8: Run<Lanes256, Vector256<float>, Vector256<int>>(a); break;
            case 4: Run<Lanes128, Vector128<float>, Vector128<int>>(a); break;
            default: Run<LanesScalar, float, int>(a); break;
        }
    }

    private void Run<L, TFloats, TInts>(GateArguments* a) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        if (_isUsual) Usual<L, TFloats, TInts>(a);
        else Chosen<L, TFloats, TInts>(a, f, g);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Usual<L, TFloats, TInts>(GateArguments* a) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        int width = a->Width;
        do
        {
            for (int j = 0; j < width; j += L.Count)
            {
                var z = GateRatio<L, TFloats, TInts>.Sigmoid(Bounded<L, TFloats, TInts>(a, Sum<L, TFloats, TInts>(a, j)));
                var r = GateRatio<L, TFloats, TInts>.Sigmoid(Bounded<L, TFloats, TInts>(a, Sum<L, TFloats, TInts>(a, width + j))).SigmoidValue;
                var sum = L.Fma(r, L.Load(a->Recurrent + (2 * width) + j), L.Load(a->Input + (2 * width) + j));
                var g = GateRatio<L, TFloats, TInts>.Tanh(Bounded<L, TFloats, TInts>(a, sum));
                L.Store(ResetGates.Blend<L, TFloats, TInts>(z, g, L.Load(a->State + j)), a->State + j);
            }
        }
        while (a->Next());
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Chosen<L, TFloats, TInts>(GateArguments* a, GateActivation f, GateActivation g)
        where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        int width = a->Width;
        do
        {
            for (int j = 0; j < width; j += L.Count)
            {
                var z = f.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, Sum<L, TFloats, TInts>(a, j)));
                var r = f.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, Sum<L, TFloats, TInts>(a, width + j)));
                var sum = L.Fma(r, L.Load(a->Recurrent + (2 * width) + j), L.Load(a->Input + (2 * width) + j));
                var change = g.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, sum));
                L.Store(ResetGates.Blend<L, TFloats, TInts>(z, change, L.Load(a->State + j)), a->State + j);
            }
        }
        while (a->Next());
    }
}
