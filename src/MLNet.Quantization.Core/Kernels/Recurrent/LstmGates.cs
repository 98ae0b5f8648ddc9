using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// i = f(xi + hi + Pi ⊙ c), F = f(xf + hf + Pf ⊙ c), C = F ⊙ c + i ⊙ g(xc + hc), o = f(xo + ho + Po ⊙ C), h = o ⊙ H(C): the ONNX
/// standard's LSTM, gates in the order i, o, f, c.
/// </summary>
internal sealed unsafe class LstmGates(GateActivation f, GateActivation g, GateActivation h, FloatTier? tier = null) : RecurrentGates(tier)
{
    private readonly bool _isUsual = f.Kind == GateFunctionKind.Sigmoid && g.Kind == GateFunctionKind.Tanh && h.Kind == GateFunctionKind.Tanh;

    public override void Run(GateArguments* a)
    {
        if (_isUsual) Run(a, new SigmoidFunction(), new TanhFunction(), new TanhFunction());
        else Run(a, f, g, h);
    }

    private void Run<F, G, H>(GateArguments* a, F first, G second, H third) where F : struct, IUnaryFunction where G : struct, IUnaryFunction where H : struct, IUnaryFunction
    {
        switch (Lanes)
        {
            case 16: Run<F, G, H, Lanes512, Vector512<float>, Vector512<int>>(a, first, second, third); break;
            case 8: Run<F, G, H, Lanes256, Vector256<float>, Vector256<int>>(a, first, second, third); break;
            case 4: Run<F, G, H, Lanes128, Vector128<float>, Vector128<int>>(a, first, second, third); break;
            default: Run<F, G, H, LanesScalar, float, int>(a, first, second, third); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run<F, G, H, L, TFloats, TInts>(GateArguments* a, F f, G g, H h)
        where F : struct, IUnaryFunction where G : struct, IUnaryFunction where H : struct, IUnaryFunction
        where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        int width = a->Width;
        float* p = a->Peepholes;
        for (int j = 0; j < width; j += L.Count)
        {
            TFloats c = L.Load(a->Cell + j), input = Sum<L, TFloats, TInts>(a, j), output = Sum<L, TFloats, TInts>(a, width + j);
            TFloats forget = Sum<L, TFloats, TInts>(a, (2 * width) + j), change = Sum<L, TFloats, TInts>(a, (3 * width) + j);
            if (p != null)
            {
                input = L.Fma(L.Load(p + j), c, input);
                forget = L.Fma(L.Load(p + (2 * width) + j), c, forget);
            }
            input = f.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, input));
            forget = a->Coupled ? L.Subtract(L.Create(1f), input) : f.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, forget));
            change = g.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, change));
            c = L.Fma(forget, c, L.Multiply(input, change));
            if (p != null) output = L.Fma(L.Load(p + width + j), c, output);
            output = f.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, output));
            L.Store(c, a->Cell + j);
            L.Store(L.Multiply(output, h.Apply<L, TFloats, TInts>(c)), a->State + j);
        }
    }
}
