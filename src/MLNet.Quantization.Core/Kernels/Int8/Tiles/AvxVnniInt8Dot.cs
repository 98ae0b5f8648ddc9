using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// AVX-VNNI-INT8: vpdpbssd, s8 by s8, 8 columns a vector. For u8 activations it comes after <see cref="AvxVnniDot"/>, which reads them
/// in place.
/// </summary>
internal readonly unsafe struct AvxVnniInt8Dot : IInt8Dot<Vector256<int>, Vector256<sbyte>>
{
    public static string Name => "avxvnniint8";

    public static bool IsSupported => AvxVnniInt8.IsSupported;

    public static ActivationForm Form => ActivationForm.SignedBytes;

    public static int Group => 4;

    public static int Lanes => 8;

    public static int Accumulators => 12;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> LoadWeights(sbyte* weights) => Vector256.Load(weights);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> Broadcast(byte* activations) => Vector256.Create(*(int*)activations).AsSByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Accumulate(Vector256<int> sums, Vector256<sbyte> activations, Vector256<sbyte> weights) =>
        AvxVnniInt8.MultiplyWideningAndAdd(sums, activations, weights);
}
