namespace MLNet.Quantization.Kernels;

/// <summary>One column at a time, four products a step: runs everywhere.</summary>
internal readonly unsafe struct ScalarDot : IInt8Dot<int, int>
{
    public static string Name => "scalar";

    public static bool IsSupported => true;

    public static ActivationForm Form => ActivationForm.Bytes;

    public static int Group => 4;

    public static int Lanes => 1;

    public static int Accumulators => 6;

    public static int LoadWeights(sbyte* weights) => *(int*)weights;

    public static int Broadcast(byte* activations) => *(int*)activations;

    public static int Accumulate(int sums, int activations, int weights) =>
        sums + ((byte)activations * (sbyte)weights) + ((byte)(activations >> 8) * (sbyte)(weights >> 8))
        + ((byte)(activations >> 16) * (sbyte)(weights >> 16)) + ((byte)(activations >> 24) * (sbyte)(weights >> 24));
}
