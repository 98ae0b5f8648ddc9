using System.Runtime.Intrinsics;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Tests.Kernels;

/// <summary>
/// Twins of the tiers whose instructions this processor may lack: the same packing, loop and output, and in place of the one instruction
/// what its manual says that it does.
/// </summary>
internal static unsafe class EmulatedKernels
{
    public static IEnumerable<Int8Kernel> All =>
    [
        new IntrinsicsKernel<AvxVnni, Vector256<int>, Vector256<byte>>(),
        new IntrinsicsKernel<AvxVnniInt8, Vector256<int>, Vector256<sbyte>>(),
        new IntrinsicsKernel<ArmDp, Vector128<int>, Vector128<sbyte>>(),
        new IntrinsicsKernel<ArmAdvSimd, Vector128<int>, Vector64<sbyte>>(),
    ];

    private readonly struct AvxVnni : IInt8Dot<Vector256<int>, Vector256<byte>>
    {
        public static string Name => AvxVnniDot.Name + "-emulated";

        public static bool IsSupported => true;

        public static ActivationForm Form => AvxVnniDot.Form;

        public static int Group => AvxVnniDot.Group;

        public static int Lanes => AvxVnniDot.Lanes;

        public static int Accumulators => AvxVnniDot.Accumulators;

        public static Vector256<byte> LoadWeights(sbyte* weights) => AvxVnniDot.LoadWeights(weights);

        public static Vector256<byte> Broadcast(byte* activations) => AvxVnniDot.Broadcast(activations);

        public static Vector256<int> Accumulate(Vector256<int> sums, Vector256<byte> activations, Vector256<byte> weights)
        {
            for (int i = 0; i < 32; i++) sums = sums.WithElement(i / 4, sums[i / 4] + (activations[i] * (sbyte)weights[i]));
            return sums;
        }
    }

    private readonly struct AvxVnniInt8 : IInt8Dot<Vector256<int>, Vector256<sbyte>>
    {
        public static string Name => AvxVnniInt8Dot.Name + "-emulated";

        public static bool IsSupported => true;

        public static ActivationForm Form => AvxVnniInt8Dot.Form;

        public static int Group => AvxVnniInt8Dot.Group;

        public static int Lanes => AvxVnniInt8Dot.Lanes;

        public static int Accumulators => AvxVnniInt8Dot.Accumulators;

        public static Vector256<sbyte> LoadWeights(sbyte* weights) => AvxVnniInt8Dot.LoadWeights(weights);

        public static Vector256<sbyte> Broadcast(byte* activations) => AvxVnniInt8Dot.Broadcast(activations);

        public static Vector256<int> Accumulate(Vector256<int> sums, Vector256<sbyte> activations, Vector256<sbyte> weights)
        {
            for (int i = 0; i < 32; i++) sums = sums.WithElement(i / 4, sums[i / 4] + (activations[i] * weights[i]));
            return sums;
        }
    }

    private readonly struct ArmDp : IInt8Dot<Vector128<int>, Vector128<sbyte>>
    {
        public static string Name => ArmDpDot.Name + "-emulated";

        public static bool IsSupported => true;

        public static ActivationForm Form => ArmDpDot.Form;

        public static int Group => ArmDpDot.Group;

        public static int Lanes => ArmDpDot.Lanes;

        public static int Accumulators => ArmDpDot.Accumulators;

        public static Vector128<sbyte> LoadWeights(sbyte* weights) => ArmDpDot.LoadWeights(weights);

        public static Vector128<sbyte> Broadcast(byte* activations) => ArmDpDot.Broadcast(activations);

        public static Vector128<int> Accumulate(Vector128<int> sums, Vector128<sbyte> activations, Vector128<sbyte> weights)
        {
            for (int i = 0; i < 16; i++) sums = sums.WithElement(i / 4, sums[i / 4] + (activations[i] * weights[i]));
            return sums;
        }
    }

    private readonly struct ArmAdvSimd : IInt8Dot<Vector128<int>, Vector64<sbyte>>
    {
        public static string Name => ArmAdvSimdDot.Name + "-emulated";

        public static bool IsSupported => true;

        public static ActivationForm Form => ArmAdvSimdDot.Form;

        public static int Group => ArmAdvSimdDot.Group;

        public static int Lanes => ArmAdvSimdDot.Lanes;

        public static int Accumulators => ArmAdvSimdDot.Accumulators;

        public static Vector64<sbyte> LoadWeights(sbyte* weights) => ArmAdvSimdDot.LoadWeights(weights);

        public static Vector64<sbyte> Broadcast(byte* activations) => ArmAdvSimdDot.Broadcast(activations);

        public static Vector128<int> Accumulate(Vector128<int> sums, Vector64<sbyte> activations, Vector64<sbyte> weights)
        {
            for (int i = 0; i < 8; i++) sums = sums.WithElement(i / 2, sums[i / 2] + (short)(activations[i] * weights[i]));
            return sums;
        }
    }
}
