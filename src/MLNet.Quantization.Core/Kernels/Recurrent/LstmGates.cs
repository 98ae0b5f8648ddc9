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
        else Chosen<L, TFloats, TInts>(a, f, g, h);
    }

    /// <summary>F by one division, i ⊙ g and o ⊙ H by one each (<see cref="GateRatio{L, F, I}"/>).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Usual<L, TFloats, TInts>(GateArguments* a) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        int width = a->Width;
        float* p = a->Peepholes;
        do
        {
            for (int j = 0; j < width; j += L.Count)
            {
                TFloats c = L.Load(a->Cell + j), input = Sum<L, TFloats, TInts>(a, j), output = Sum<L, TFloats, TInts>(a, width + j);
                TFloats forget = Sum<L, TFloats, TInts>(a, (2 * width) + j), change = Sum<L, TFloats, TInts>(a, (3 * width) + j);
                if (p != null)
                {
                    input = L.Fma(L.Load(p + j), c, input);
                    forget = L.Fma(L.Load(p + (2 * width) + j), c, forget);
                }
                var i = GateRatio<L, TFloats, TInts>.Sigmoid(Bounded<L, TFloats, TInts>(a, input));
                var g = GateRatio<L, TFloats, TInts>.Tanh(Bounded<L, TFloats, TInts>(a, change));
                var kept = a->Coupled ? L.Divide(i.Lowered, i.TwiceDenominator) : GateRatio<L, TFloats, TInts>.Sigmoid(Bounded<L, TFloats, TInts>(a, forget)).SigmoidValue;
                var added = L.Divide(L.Multiply(i.Raised, g.Numerator), L.Multiply(i.TwiceDenominator, g.Denominator));
                c = L.Fma(kept, c, added);
                if (p != null) output = L.Fma(L.Load(p + width + j), c, output);
                var o = GateRatio<L, TFloats, TInts>.Sigmoid(Bounded<L, TFloats, TInts>(a, output));
                var h = GateRatio<L, TFloats, TInts>.Tanh(c);
                L.Store(c, a->Cell + j);
                L.Store(L.Divide(L.Multiply(o.Raised, h.Numerator), L.Multiply(o.TwiceDenominator, h.Denominator)), a->State + j);
            }
        }
        while (a->Next());
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Chosen<L, TFloats, TInts>(GateArguments* a, GateActivation f, GateActivation g, GateActivation h)
        where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        int width = a->Width;
        float* p = a->Peepholes;
        do
        {
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
        while (a->Next());
    }
}
