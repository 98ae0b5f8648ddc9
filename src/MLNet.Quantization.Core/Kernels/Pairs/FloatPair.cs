namespace MLNet.Quantization.Kernels;

/// <summary>Factors of float32: the sums of <see cref="FloatGemm"/>, bit for bit.</summary>
internal sealed unsafe class FloatPair(int k, int n, FloatTier? tier = null) : PairProduct(k, n)
{
    private readonly FloatTier _tier = tier ?? FloatTier.Best;

    public override long PackedBytes => AlignedBuffer.Align(FloatGemm.PackedCount(_tier, K, N) * sizeof(float));

    public override long ScratchBytes(int rows) => 0;

    public override void Pack(byte* b, long stride, bool transposed, byte* packed, byte* scratch)
    {
        float* from = (float*)b;
        if (transposed) FloatPanels.PutColumns(from, stride, K, N, (float*)packed, _tier);
        else for (int l = 0; l < K; l++) FloatPanels.PutRow(from + (l * stride), l, K, N, (float*)packed, _tier);
    }

    public override void Multiply(byte* a, long stride, int rows, byte* packed, float* c, long cStride, byte* scratch) =>
        FloatPanels.Multiply((float*)a, stride, rows, K, (float*)packed, N, c, (int)cStride, _tier);
}
