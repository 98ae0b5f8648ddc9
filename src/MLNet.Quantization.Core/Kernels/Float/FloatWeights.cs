namespace MLNet.Quantization.Kernels;

/// <summary>
/// A float32 matrix B [k, n], packed for one tier: panels of two vectors of columns one after the other, each [k][column], zero where n
/// is padded. Immutable. Made by <see cref="FloatGemm.Pack"/>.
/// </summary>
internal sealed unsafe class FloatWeights
{
    private readonly AlignedBuffer _packed;

    internal FloatWeights(FloatTier tier, ReadOnlySpan<float> b, int k, int n, bool transposed)
    {
        Tier = tier;
        K = k;
        N = n;
        long count = FloatGemm.PackedCount(tier, k, n);
        _packed = new AlignedBuffer(count * sizeof(float));
        FloatGemm.PackInto(b, k, n, transposed, (float*)_packed.Pointer, tier);
    }

    public FloatTier Tier { get; }

    public int K { get; }

    public int N { get; }

    /// <summary>Valid while this object lives.</summary>
    internal float* Pointer => (float*)_packed.Pointer;
}
