using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// Arm64 without dot products: smull gives eight products of s8 by s8, which fit int16 (at most 16,384), and sadalp adds neighbours, the
/// two of a column, to int32. 4 columns a vector.
/// </summary>
internal readonly unsafe struct ArmAdvSimdDot : IInt8Dot<Vector128<int>, Vector64<sbyte>>
{
    public static string Name => "arm64";

    public static bool IsSupported => AdvSimd.IsSupported;

    public static ActivationForm Form => ActivationForm.SignedBytes;

    public static int Group => 2;

    public static int Lanes => 4;

    public static int Accumulators => 24;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector64<sbyte> LoadWeights(sbyte* weights) => Vector64.Load(weights);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector64<sbyte> Broadcast(byte* activations) => Vector64.Create(*(short*)activations).AsSByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Accumulate(Vector128<int> sums, Vector64<sbyte> activations, Vector64<sbyte> weights) =>
        AdvSimd.AddPairwiseWideningAndAdd(sums, AdvSimd.MultiplyWideningLower(activations, weights));
}
