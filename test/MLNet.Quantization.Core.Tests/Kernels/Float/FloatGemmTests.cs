using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Tests.Kernels;

[TestClass]
public sealed class FloatGemmTests
{
    [TestMethod]
    public void EveryTierGivesTheDefinition()
    {
        var random = new Random(7);
        int[] sizes = [0, 1, 2, 3, 5, 6, 7, 13, 16, 17, 31, 33, 70];
        for (int i = 0; i < 300; i++)
        {
            int m = sizes[random.Next(sizes.Length)], k = sizes[random.Next(sizes.Length)], n = sizes[random.Next(sizes.Length)];
            bool transposed = random.Next(2) == 0;
            float[] a = Values(random, m * k), b = Values(random, k * n), bias = random.Next(2) == 0 ? [] : Values(random, n);
            float[] expected = Naive(a, b, bias, m, k, n, transposed);
            foreach (var tier in FloatTier.Supported)
            {
                var c = Enumerable.Repeat(float.NaN, m * n).ToArray();
                FloatGemm.Multiply(a, m, FloatGemm.Pack(b, k, n, transposed, tier), bias, c, 1);
                Assert.IsTrue(expected.AsSpan().SequenceEqual(c), $"{tier} [{m}, {k}, {n}] {transposed}");
            }
            var unpacked = new float[m * n];
            FloatGemm.MultiplyUnpacked(a, m, b, k, n, transposed, bias, unpacked, new byte[FloatGemm.WorkspaceBytes(k, n)], 1);
            Assert.IsTrue(expected.AsSpan().SequenceEqual(unpacked));
        }
    }

    [TestMethod]
    public void NothingPastTheEndIsTouched()
    {
        var random = new Random(9);
        foreach (var tier in FloatTier.Supported)
            foreach (var (m, k, n) in (ReadOnlySpan<(int, int, int)>)[(1, 1, 1), (3, 255, 15), (7, 17, 33), (97, 5, 257), (6, 16, 64), (2, 0, 3)])
                foreach (bool transposed in (bool[])[false, true])
                {
                    float[] values = Values(random, m * k), weights = Values(random, k * n), offsets = Values(random, n);
                    using var a = new GuardedMemory<float>(values);
                    using var b = new GuardedMemory<float>(weights);
                    using var bias = new GuardedMemory<float>(offsets);
                    using var c = new GuardedMemory<float>(m * n);
                    FloatGemm.Multiply(a.Span, m, FloatGemm.Pack(b.Span, k, n, transposed, tier), bias.Span, c.Span, 2);
                    Assert.IsTrue(c.Span.SequenceEqual(Naive(values, weights, offsets, m, k, n, transposed)), $"{tier} [{m}, {k}, {n}] {transposed}");
                }
    }

    [TestMethod]
    public void ThreadsAndBatchesDoNotChangeABit()
    {
        var random = new Random(8);
        const int M = 230, K = 301, N = 517;
        float[] a = Values(random, M * K), b = Values(random, K * N), bias = Values(random, N);
        var weights = FloatGemm.Pack(b, K, N, false);
        float[] one = new float[M * N], two = new float[M * N], row = new float[N];
        FloatGemm.Multiply(a, M, weights, bias, one, 1);
        FloatGemm.Multiply(a, M, weights, bias, two, 2);
        Assert.IsTrue(one.AsSpan().SequenceEqual(two));
        for (int i = 0; i < M; i += 37)
        {
            FloatGemm.Multiply(a.AsSpan(i * K, K), 1, weights, bias, row, 2);
            Assert.IsTrue(row.AsSpan().SequenceEqual(one.AsSpan(i * N, N)), $"row {i}");
        }
        Assert.IsTrue(Naive(a[..K], b, bias, 1, K, N, false).AsSpan().SequenceEqual(one.AsSpan(0, N)));
    }

    [TestMethod]
    public void WrongSizesAreRefused()
    {
        Assert.ThrowsExactly<ArgumentException>(() => FloatGemm.Pack(new float[5], 2, 3, false));
        var weights = FloatGemm.Pack(new float[6], 2, 3, false);
        Assert.ThrowsExactly<ArgumentException>(() => FloatGemm.Multiply(new float[3], 2, weights, [], new float[6], 1));
        Assert.ThrowsExactly<ArgumentException>(() => FloatGemm.Multiply(new float[4], 2, weights, [], new float[5], 1));
        Assert.ThrowsExactly<ArgumentException>(() => FloatGemm.Multiply(new float[4], 2, weights, new float[2], new float[6], 1));
    }

    private static float[] Values(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() * 2 - 1))];

    private static float[] Naive(float[] a, float[] b, float[] bias, int m, int k, int n, bool transposed)
    {
        var c = new float[m * n];
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++)
            {
                float sum = 0;
                for (int l = 0; l < k; l++) sum = MathF.FusedMultiplyAdd(a[i * k + l], b[transposed ? j * k + l : l * n + j], sum);
                c[i * n + j] = bias.Length == 0 ? sum : sum + bias[j];
            }
        return c;
    }
}
