using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// The first half of the ONNX standard's GRU without linear_before_reset: z = f(xz + hz), which replaces xz, and r ⊙ h with
/// r = f(xr + hr), which the recurrent weights of the last gate then multiply; and the second half, H = (1 - z) ⊙ g(xh + hh) + z ⊙ h.
/// </summary>
internal sealed unsafe class ResetGates(GateActivation f, GateActivation g, FloatTier? tier = null) : RecurrentGates(tier)
{
    private readonly bool _isUsual = f.Kind == GateFunctionKind.Sigmoid && g.Kind == GateFunctionKind.Tanh;

    public override void Run(GateArguments* a) => Half(a, first: true);

    /// <summary>The second half; <see cref="GateArguments.Recurrent"/> is the last gate's alone.</summary>
    public void Finish(GateArguments* a) => Half(a, first: false);

    /// <summary>(1 - z) ⊙ g + z ⊙ h by one division.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TFloats Blend<L, TFloats, TInts>(GateRatio<L, TFloats, TInts> z, GateRatio<L, TFloats, TInts> g, TFloats h)
        where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        var sum = L.Fma(z.Lowered, g.Numerator, L.Multiply(L.Multiply(z.Raised, g.Denominator), h));
        return L.Divide(sum, L.Multiply(z.TwiceDenominator, g.Denominator));
    }

    /// <summary>(1 - z) ⊙ g + z ⊙ h.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TFloats Blend<L, TFloats, TInts>(TFloats z, TFloats g, TFloats h) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        L.Add(L.Multiply(L.Subtract(L.Create(1f), z), g), L.Multiply(z, h));

    private void Half(GateArguments* a, bool first)
    {
        switch (Lanes)
        {
            case 16: Half<Lanes512, Vector512<float>, Vector512<int>>(a, first); break;
            case 8: Half<Lanes256, Vector256<float>, Vector256<int>>(a, first); break;
            case 4: Half<Lanes128, Vector128<float>, Vector128<int>>(a, first); break;
            default: Half<LanesScalar, float, int>(a, first); break;
        }
    }

    private void Half<L, TFloats, TInts>(GateArguments* a, bool first) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        if (first) First<L, TFloats, TInts>(a, _isUsual, f);
        else Second<L, TFloats, TInts>(a, _isUsual, g);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void First<L, TFloats, TInts>(GateArguments* a, bool isUsual, GateActivation f) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        do
        {
            for (int j = 0; j < a->Width; j += L.Count)
            {
                TFloats z = Bounded<L, TFloats, TInts>(a, Sum<L, TFloats, TInts>(a, j)), r = Bounded<L, TFloats, TInts>(a, Sum<L, TFloats, TInts>(a, a->Width + j));
                r = isUsual ? GateRatio<L, TFloats, TInts>.Sigmoid(r).SigmoidValue : f.Apply<L, TFloats, TInts>(r);
                z = isUsual ? GateRatio<L, TFloats, TInts>.Sigmoid(z).SigmoidValue : f.Apply<L, TFloats, TInts>(z);
                L.Store(z, a->Input + j);
                L.Store(L.Multiply(r, L.Load(a->State + j)), a->Reset + j);
            }
        }
        while (a->Next());
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Second<L, TFloats, TInts>(GateArguments* a, bool isUsual, GateActivation g) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        do
        {
            for (int j = 0; j < a->Width; j += L.Count)
            {
                var sum = Bounded<L, TFloats, TInts>(a, L.Add(L.Load(a->Input + (2 * a->Width) + j), L.Load(a->Recurrent + j)));
                TFloats change;
                if (isUsual)
                {
                    var ratio = GateRatio<L, TFloats, TInts>.Tanh(sum);
                    change = L.Divide(ratio.Numerator, ratio.Denominator);
                }
                else
                {
                    change = g.Apply<L, TFloats, TInts>(sum);
                }
                L.Store(Blend<L, TFloats, TInts>(L.Load(a->Input + j), change, L.Load(a->State + j)), a->State + j);
            }
        }
        while (a->Next());
    }
}
