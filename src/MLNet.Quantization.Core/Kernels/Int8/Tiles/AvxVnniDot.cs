using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MLNet.Quantization.Kernels;

/// <summary>AVX-VNNI: vpdpbusd on ymm registers, 8 columns a vector. Processors have it that lack AVX-512.</summary>
internal readonly unsafe struct AvxVnniDot : IInt8Dot<Vector256<int>, Vector256<byte>>
{
    public static string Name => "avxvnni";

    public static bool IsSupported => AvxVnni.IsSupported;

    public static ActivationForm Form => ActivationForm.Bytes;

    public static int Group => 4;

    public static int Lanes => 8;

    public static int Accumulators => 12;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> LoadWeights(sbyte* weights) => Vector256.Load((byte*)weights);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Broadcast(byte* activations) => Vector256.Create(*(int*)activations).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Accumulate(Vector256<int> sums, Vector256<byte> activations, Vector256<byte> weights) =>
        AvxVnni.MultiplyWideningAndAdd(sums, activations, weights.AsSByte());
}
