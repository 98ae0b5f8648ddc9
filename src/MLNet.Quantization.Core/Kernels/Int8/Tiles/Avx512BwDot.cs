using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MLNet.Quantization.Kernels;

/// <summary>AVX-512 BW without VNNI: as <see cref="Avx2Dot"/>, 16 columns a vector.</summary>
internal readonly unsafe struct Avx512BwDot : IInt8Dot<Vector512<int>, Vector512<short>>
{
    public static string Name => "avx512bw";

    public static bool IsSupported => Avx512BW.IsSupported;

    public static ActivationForm Form => ActivationForm.Words;

    public static int Group => 2;

    public static int Lanes => 16;

    public static int Accumulators => 24;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<short> LoadWeights(sbyte* weights) => Avx512BW.ConvertToVector512Int16(Vector256.Load(weights));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<short> Broadcast(byte* activations) => Vector512.Create(*(int*)activations).AsInt16();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Accumulate(Vector512<int> sums, Vector512<short> activations, Vector512<short> weights) =>
        Avx512F.Add(sums, Avx512BW.MultiplyAddAdjacent(activations, weights));
}
