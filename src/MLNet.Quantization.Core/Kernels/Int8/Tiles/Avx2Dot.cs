using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// AVX2: both sides widened to int16, then vpmaddwd, which is exact (vpmaddubsw would saturate). 8 columns a vector.
/// </summary>
internal readonly unsafe struct Avx2Dot : IInt8Dot<Vector256<int>, Vector256<short>>
{
    public static string Name => "avx2";

    public static bool IsSupported => Avx2.IsSupported;

    public static ActivationForm Form => ActivationForm.Words;

    public static int Group => 2;

    public static int Lanes => 8;

    public static int Accumulators => 12;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<short> LoadWeights(sbyte* weights) => Avx2.ConvertToVector256Int16(weights);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<short> Broadcast(byte* activations) => Avx2.BroadcastScalarToVector256((int*)activations).AsInt16();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Accumulate(Vector256<int> sums, Vector256<short> activations, Vector256<short> weights) =>
        Avx2.Add(sums, Avx2.MultiplyAddAdjacent(activations, weights));
}
