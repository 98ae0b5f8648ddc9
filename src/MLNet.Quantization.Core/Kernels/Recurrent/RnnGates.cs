using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Kernels;

/// <summary>h = f(x + h'): the ONNX standard's RNN.</summary>
internal sealed unsafe class RnnGates(GateActivation f, FloatTier? tier = null) : RecurrentGates(tier)
{
    public override void Run(GateArguments* a)
    {
        switch (Lanes)
        {
            case 16: Run<Lanes512, Vector512<float>, Vector512<int>>(a, f); break;
            case 8: Run<Lanes256, Vector256<float>, Vector256<int>>(a, f); break;
            case 4: Run<Lanes128, Vector128<float>, Vector128<int>>(a, f); break;
            default: Run<LanesScalar, float, int>(a, f); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run<L, TFloats, TInts>(GateArguments* a, GateActivation f) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        do
        {
            for (int j = 0; j < a->Width; j += L.Count)
            {
                var sum = Bounded<L, TFloats, TInts>(a, Sum<L, TFloats, TInts>(a, j));
                if (f.Kind == GateFunctionKind.Tanh)
                {
                    var ratio = GateRatio<L, TFloats, TInts>.Tanh(sum);
                    L.Store(L.Divide(ratio.Numerator, ratio.Denominator), a->State + j);
                }
                else
                {
                    L.Store(f.Apply<L, TFloats, TInts>(sum), a->State + j);
                }
            }
        }
        while (a->Next());
    }
}
