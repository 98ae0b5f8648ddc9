using System.Runtime.Intrinsics;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Tests.Kernels;

/// <summary>Parts of vectors, and what is made of them, at the end of memory that can be touched.</summary>
[TestClass]
public sealed unsafe class LanesTests
{
    [TestMethod]
    public void PartsOfAVectorTouchNothingElse()
    {
        foreach (var tier in FloatTier.Supported)
        {
            switch (tier.Lanes)
            {
                case 16: Parts<Lanes512, Vector512<float>, Vector512<int>>(); break;
                case 8: Parts<Lanes256, Vector256<float>, Vector256<int>>(); break;
                case 4: Parts<Lanes128, Vector128<float>, Vector128<int>>(); break;
                default: Parts<LanesScalar, float, int>(); break;
            }
        }
    }

    private static void Parts<L, TFloats, TInts>() where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        for (int count = 0; count <= L.Count; count++)
        {
            using var memory = new GuardedMemory<float>([.. Enumerable.Range(1, count).Select(i => (float)i)]);
            var whole = new float[L.Count];
            fixed (float* to = whole)
            {
                L.Store(L.LoadFirst(memory.Pointer, count, L.Create(-1f)), to);
                for (int i = 0; i < L.Count; i++) Assert.AreEqual(i < count ? i + 1 : -1, whole[i], $"{L.Count} lanes, {count} of them");
                for (int i = 0; i < L.Count; i++) whole[i] = 100 + i;
                L.StoreFirst(L.Load(to), memory.Pointer, count);
            }
            for (int i = 0; i < count; i++) Assert.AreEqual(100 + i, memory.Span[i]);
        }
    }

    [TestMethod]
    public void PanelsThatAreNotFullWriteTheirColumnsAlone()
    {
        var random = new Random(7);
        foreach (var tier in FloatTier.Supported)
            for (int n = 1; n <= 35; n++)
            {
                int m = 1 + (n % 8), k = 5, lda = k + (n % 3), stride = n + (n % 4);
                using var a = new GuardedMemory<float>(((m - 1) * lda) + k);
                for (int i = 0; i < a.Span.Length; i++) a.Span[i] = random.NextSingle() - 0.5f;
                float[] b = [.. Enumerable.Range(0, k * n).Select(_ => random.NextSingle() - 0.5f)];
                using var c = new GuardedMemory<float>(((m - 1) * stride) + n);
                c.Span.Fill(77);
                var packed = new AlignedBuffer(FloatGemm.PackedCount(tier, k, n) * sizeof(float));
                fixed (float* rows = b)
                    for (int l = 0; l < k; l++) FloatPanels.PutRow(rows + (l * n), l, k, n, (float*)packed.Pointer, tier);
                FloatPanels.Multiply(a.Pointer, lda, m, k, (float*)packed.Pointer, n, c.Pointer, stride, tier);
                GC.KeepAlive(packed);
                for (int i = 0; i < c.Span.Length; i++)
                {
                    int row = i / stride, column = i % stride;
                    float expected = column < n ? 0 : 77;
                    for (int l = 0; l < k && column < n; l++) expected = MathF.FusedMultiplyAdd(a.Span[(row * lda) + l], b[(l * n) + column], expected);
                    Assert.AreEqual(BitConverter.SingleToInt32Bits(expected), BitConverter.SingleToInt32Bits(c.Span[i]), $"{tier}, {n} columns, row {row}, column {column}");
                }
            }
    }

    [TestMethod]
    public void SoftmaxIsItsDefinitionBitForBit()
    {
        var random = new Random(3);
        foreach (var tier in FloatTier.Supported)
            for (int n = 1; n <= 50; n++)
            {
                const int Rows = 5;
                float[] x = [.. Enumerable.Range(0, Rows * n).Select(i => i % 61 == 60 ? float.NegativeInfinity : (random.NextSingle() - 0.5f) * 30)];
                using var y = new GuardedMemory<float>(x);
                FusedRows.Softmax(y.Span, n, y.Span, tier);
                for (int row = 0; row < Rows; row++)
                {
                    float[] expected = NaiveSoftmax(x.AsSpan(row * n, n).ToArray());
                    for (int i = 0; i < n; i++) Assert.AreEqual(BitConverter.SingleToInt32Bits(expected[i]), BitConverter.SingleToInt32Bits(y.Span[(row * n) + i]), $"{tier}, {n} columns, row {row}");
                }
            }
    }

    /// <summary>Element i adds to lane i mod 16; lanes are joined in halves.</summary>
    private static float[] NaiveSoftmax(float[] x)
    {
        var lanes = new float[16];
        float max = x.Max();
        float[] powers = [.. x.Select(v => ExpFunction.Of<LanesScalar, float, int>(v - max))];
        for (int i = 0; i < x.Length; i++) lanes[i % 16] += powers[i];
        for (int half = 8; half > 0; half /= 2)
            for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
        return [.. powers.Select(p => p / lanes[0])];
    }
}
