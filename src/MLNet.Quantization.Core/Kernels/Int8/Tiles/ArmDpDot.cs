using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;

namespace MLNet.Quantization.Kernels;

/// <summary>Arm64 with dot products: sdot, s8 by s8, 4 columns a vector.</summary>
internal readonly unsafe struct ArmDpDot : IInt8Dot<Vector128<int>, Vector128<sbyte>>
{
    public static string Name => "arm64dp";

    public static bool IsSupported => Dp.IsSupported;

    public static ActivationForm Form => ActivationForm.SignedBytes;

    public static int Group => 4;

    public static int Lanes => 4;

    public static int Accumulators => 24;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<sbyte> LoadWeights(sbyte* weights) => Vector128.Load(weights);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<sbyte> Broadcast(byte* activations) => Vector128.Create(*(int*)activations).AsSByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Accumulate(Vector128<int> sums, Vector128<sbyte> activations, Vector128<sbyte> weights) =>
        Dp.DotProduct(sums, activations, weights);
}
