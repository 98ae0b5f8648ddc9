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

    public override void Run(GateArguments* a)
    {
        if (_isUsual) Split(a, new SigmoidFunction(), first: true);
        else Split(a, f, first: true);
    }

    /// <summary>The second half; <see cref="GateArguments.Recurrent"/> is the last gate's alone.</summary>
    public void Finish(GateArguments* a)
    {
        if (_isUsual) Split(a, new TanhFunction(), first: false);
        else Split(a, g, first: false);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TFloats Blend<L, TFloats, TInts>(TFloats z, TFloats change, TFloats old) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        L.Add(L.Multiply(L.Subtract(L.Create(1f), z), change), L.Multiply(z, old));

    private void Split<F>(GateArguments* a, F function, bool first) where F : struct, IUnaryFunction
    {
        switch (Lanes)
        {
            case 16: Half<F, Lanes512, Vector512<float>, Vector512<int>>(a, function, first); break;
            case 8: Half<F, Lanes256, Vector256<float>, Vector256<int>>(a, function, first); break;
            case 4: Half<F, Lanes128, Vector128<float>, Vector128<int>>(a, function, first); break;
            default: Half<F, LanesScalar, float, int>(a, function, first); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Half<F, L, TFloats, TInts>(GateArguments* a, F function, bool first)
        where F : struct, IUnaryFunction where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        int width = a->Width;
        for (int j = 0; j < width; j += L.Count)
        {
            var h = L.Load(a->State + j);
            if (first)
            {
                var r = function.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, Sum<L, TFloats, TInts>(a, width + j)));
                L.Store(function.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, Sum<L, TFloats, TInts>(a, j))), a->Input + j);
                L.Store(L.Multiply(r, h), a->Reset + j);
            }
            else
            {
                var sum = L.Add(L.Load(a->Input + (2 * width) + j), L.Load(a->Recurrent + j));
                var change = function.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, sum));
                L.Store(Blend<L, TFloats, TInts>(L.Load(a->Input + j), change, h), a->State + j);
            }
        }
    }
}
