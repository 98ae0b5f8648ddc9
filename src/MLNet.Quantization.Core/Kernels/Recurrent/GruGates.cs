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
        if (_isUsual) Run(a, new SigmoidFunction(), new TanhFunction());
        else Run(a, f, g);
    }

    private void Run<F, G>(GateArguments* a, F first, G second) where F : struct, IUnaryFunction where G : struct, IUnaryFunction
    {
        switch (Lanes)
        {
            case 16: Run<F, G, Lanes512, Vector512<float>, Vector512<int>>(a, first, second); break;
            case 8: Run<F, G, Lanes256, Vector256<float>, Vector256<int>>(a, first, second); break;
            case 4: Run<F, G, Lanes128, Vector128<float>, Vector128<int>>(a, first, second); break;
            default: Run<F, G, LanesScalar, float, int>(a, first, second); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run<F, G, L, TFloats, TInts>(GateArguments* a, F f, G g)
        where F : struct, IUnaryFunction where G : struct, IUnaryFunction where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        int width = a->Width;
        for (int j = 0; j < width; j += L.Count)
        {
            var z = f.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, Sum<L, TFloats, TInts>(a, j)));
            var r = f.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, Sum<L, TFloats, TInts>(a, width + j)));
            var sum = L.Fma(r, L.Load(a->Recurrent + (2 * width) + j), L.Load(a->Input + (2 * width) + j));
            var change = g.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, sum));
            L.Store(ResetGates.Blend<L, TFloats, TInts>(z, change, L.Load(a->State + j)), a->State + j);
        }
    }
}
