using System.Runtime.InteropServices;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Tests.Kernels;

[TestClass]
public sealed unsafe class DynamicTests
{
    [TestMethod]
    public void RowsAreQuantizedByTheFormulasOfDynamicQuantizeLinear()
    {
        var random = new Random(1);
        foreach (int k in new[] { 1, 2, 7, 8, 9, 15, 16, 17, 100, 1000 })
        {
            const int m = 50;
            using var x = new GuardedMemory<float>(m * k);
            for (int i = 0; i < m * k; i++) x.Span[i] = (float)(random.NextDouble() - (i / k % 3 * 0.5)) * MathF.Pow(10, (i / k % 9) - 4);
            using var q = new GuardedMemory<byte>(m * k);
            using var scales = new GuardedMemory<float>(m);
            using var zeroPoints = new GuardedMemory<int>(m);
            RowQuantizer.Quantize(x.Span, m, k, q.Span, scales.Span, zeroPoints.Span, 0);
            for (int i = 0; i < m; i++)
            {
                float min = 0, max = 0;
                foreach (float v in x.Span.Slice(i * k, k))
                {
                    min = MathF.Min(min, v);
                    max = MathF.Max(max, v);
                }
                float scale = (max - min) / 255f;
                Assert.AreEqual(scale, scales.Span[i]);
                Assert.AreEqual((int)MathF.Round(-min / scale), zeroPoints.Span[i]);
                for (int j = 0; j < k; j++)
                    Assert.AreEqual(Math.Clamp((int)MathF.Round(x.Span[(i * k) + j] / scale) + zeroPoints.Span[i], 0, 255), q.Span[(i * k) + j]);
            }
        }
    }

    /// <summary>Codes come from a multiplication by 1 / S that is corrected: it must round as the division does, also where that decides the code.</summary>
    [TestMethod]
    public void ValuesAtTheEdgesOfCodesRoundAsTheirQuotientDoes()
    {
        const int k = 255 * 5;
        var random = new Random(3);
        float[] x = new float[k], scales = new float[1];
        byte[] q = new byte[k];
        int[] zeroPoints = new int[1];
        for (int round = 0; round < 2000; round++)
        {
            float max = MathF.Pow(2, random.Next(-70, 70)) * (1 + random.NextSingle()), min = -max * random.NextSingle() * (round % 3);
            (float scale, int zeroPoint) = RowQuantizer.ParametersOf(min, max);
            for (int i = 0; i < k; i++)
            {
                float edge = (float)((i / 5 - zeroPoint + 0.5) * scale);
                for (int step = i % 5 - 2; step != 0; step -= Math.Sign(step)) edge = step > 0 ? MathF.BitIncrement(edge) : MathF.BitDecrement(edge);
                x[i] = Math.Clamp(edge, min, max);
            }
            (x[0], x[k - 1]) = (min, max);
            RowQuantizer.Quantize(x, 1, k, q, scales, zeroPoints, 1);
            Assert.AreEqual(scale, scales[0]);
            Assert.AreEqual(zeroPoint, zeroPoints[0]);
            for (int i = 0; i < k; i++) Assert.AreEqual(Quantizer.Code(x[i], new(scale, zeroPoint), CodeGrid.UInt8), q[i], $"{x[i]:R} / {scale:R} + {zeroPoint}");
        }
    }

    [TestMethod]
    public void FloatRowsInAndOutAreTheirQuantizedRowsProduct()
    {
        foreach (var kernel in Int8KernelTests.AllKernels.Where(k => !k.Name.Contains("emulated", StringComparison.Ordinal)))
            foreach (var (m, k, n) in new[] { (0, 5, 3), (1, 0, 4), (1, 16, 32), (4, 17, 33), (9, 64, 48), (25, 130, 70), (333, 515, 40), (3, 2000, 900) })
            {
                var random = new Random(m + k);
                using var x = new GuardedMemory<float>(m * k);
                for (int i = 0; i < m * k; i++) x.Span[i] = (random.NextSingle() - 0.3f) * (i / Math.Max(1, k) % 5);
                if (m > 5) x.Span[3 * k] = float.NaN;
                var w = new sbyte[k * n];
                random.NextBytes(MemoryMarshal.AsBytes(w.AsSpan()));
                float[] columnScales = [.. Enumerable.Range(0, n).Select(_ => random.NextSingle())], bias = [.. columnScales.Select(s => s - 0.5f)];
                float[] scales = new float[m], expected = new float[m * n];
                int[] zeroPoints = new int[m];
                var q = new byte[m * k];
                RowQuantizer.Quantize(x.Span, m, k, q, scales, zeroPoints, 1);
                NaiveInt8.Float(q, w, m, k, n, scales, zeroPoints, columnScales, bias, expected);
                var product = new DynamicProduct(Int8Gemm.Pack(w, k, n, false, kernel), columnScales, bias);
                using var c = new GuardedMemory<float>(m * n);
                foreach (int threads in new[] { 1, 2 })
                {
                    c.Span.Clear();
                    using var work = new GuardedMemory<byte>((int)product.WorkspaceBytes(m));
                    product.Run(x.Span, m, c.Span, work.Span, threads);
                    Assert.IsTrue(
                        MemoryMarshal.AsBytes(expected.AsSpan()).SequenceEqual(MemoryMarshal.AsBytes(c.Span)), $"{kernel} [{m}, {k}] x [{k}, {n}], {threads} threads");
                }
                if (m > 0) Assert.ThrowsExactly<ArgumentException>(() => product.Run(x.Span, m, c.Span, [], 1));
            }
    }

    [TestMethod]
    [DataRow(10)]
    [DataRow(16)]
    [DataRow(40)]
    [DataRow(100)]
    public void RowsWithoutAFiniteScale(int k)
    {
        foreach (int at in new[] { 0, 5, 8, 9, k / 2, k - 2, k - 1 })
            foreach (float bad in new[] { float.NaN, -float.NaN, float.PositiveInfinity, float.NegativeInfinity })
            {
                var x = new float[3 * k];
                x[k + at] = bad;
                x[(2 * k) + at] = 255;
                var scales = new float[3];
                var zeroPoints = new int[3];
                var q = new byte[3 * k];
                RowQuantizer.Quantize(x, 3, k, q, scales, zeroPoints, 1);
                CollectionAssert.AreEqual(new[] { 1f, float.NaN, 1f }, scales);
                CollectionAssert.AreEqual(new[] { 0, 0, 0 }, zeroPoints);
                Assert.AreEqual(255, q[(2 * k) + at]);
                Assert.IsTrue(q.AsSpan(0, k).IndexOfAnyExcept((byte)0) < 0, "a row of zeros");
            }
    }

    [TestMethod]
    public void RowsThatLieApartAreQuantizedAsIfAlone()
    {
        const int m = 5;
        var random = new Random(2);
        foreach (int k in new[] { 3, 16, 33, 80 })
        {
            int stride = k + 13, codeStride = k + 7;
            float[] x = [.. Enumerable.Range(0, m * stride).Select(_ => (random.NextSingle() - 0.4f) * 3)], scales = new float[m], scale = new float[1];
            byte[] q = [.. Enumerable.Repeat((byte)99, m * codeStride)], alone = new byte[k];
            int[] zeroPoints = new int[m], zeroPoint = new int[1];
            fixed (float* px = x, ps = scales)
            fixed (byte* pq = q)
            fixed (int* pz = zeroPoints) RowQuantizer.Rows(px, stride, m, k, pq, codeStride, ps, pz);
            for (int i = 0; i < m; i++)
            {
                RowQuantizer.Quantize(x.AsSpan(i * stride, k), 1, k, alone, scale, zeroPoint, 1);
                Assert.AreEqual(scale[0], scales[i]);
                Assert.AreEqual(zeroPoint[0], zeroPoints[i]);
                CollectionAssert.AreEqual(alone, q[(i * codeStride)..((i * codeStride) + k)]);
                Assert.IsTrue(q.AsSpan((i * codeStride) + k, codeStride - k).IndexOfAnyExcept((byte)99) < 0, "what lies between rows stays");
            }
        }
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(13)]
    [DataRow(16)]
    [DataRow(64)]
    [DataRow(65)]
    public void SparseRowsScoreAsTheDenseRowsDo(int n)
    {
        const int k = 3000, m = 70;
        var random = new Random(n);
        var weights = new sbyte[k * n];
        random.NextBytes(MemoryMarshal.AsBytes(weights.AsSpan()));
        float[] scales = [.. Enumerable.Range(0, n).Select(_ => random.NextSingle())], bias = [.. Enumerable.Range(0, n).Select(_ => random.NextSingle())];
        var dense = new float[m * k];
        var starts = new List<int> { 0 };
        var columns = new List<int>();
        var values = new List<float>();
        for (int i = 0; i < m; i++)
        {
            double share = i == 3 ? 0 : i == 4 ? 1 : random.NextDouble() * 0.1;
            for (int j = 0; j < k; j++)
            {
                if (random.NextDouble() >= share) continue;
                float v = i == 5 ? float.PositiveInfinity : (float)(random.NextDouble() - 0.3);
                dense[(i * k) + j] = v;
                columns.Add(j);
                values.Add(v);
            }
            starts.Add(columns.Count);
        }
        var product = new FloatProduct(Int8Gemm.Pack(weights, k, n, false), scales, bias);
        var sparse = new SparseProduct(weights, k, n, false, scales, bias);
        var work = new byte[product.WorkspaceBytes(m)];
        var q = new byte[m * k];
        float[] rowScales = new float[m], expected = new float[m * n];
        var rowZeroPoints = new int[m];
        using var found = new GuardedMemory<float>(m * n);

        RowQuantizer.Quantize(dense, m, k, q, rowScales, rowZeroPoints, 1);
        product.Run(q, m, rowScales, rowZeroPoints, expected, work, 1);
        sparse.Run(CollectionsMarshal.AsSpan(starts), CollectionsMarshal.AsSpan(columns), CollectionsMarshal.AsSpan(values), m, null, found.Span, [], 0);
        CollectionAssert.AreEqual(Bits(expected), Bits(found.Span));

        var parameters = new AffineParameters(0.004f, 77);
        for (int i = 0; i < q.Length; i++) q[i] = (byte)Quantizer.Code(dense[i], parameters, CodeGrid.UInt8);
        product.Run(q, m, [parameters.Scale], [parameters.ZeroPoint], expected, work, 1);
        sparse.Run(CollectionsMarshal.AsSpan(starts), CollectionsMarshal.AsSpan(columns), CollectionsMarshal.AsSpan(values), m, parameters, found.Span, [], 1);
        CollectionAssert.AreEqual(Bits(expected), Bits(found.Span));
    }

    [TestMethod]
    public void MoreStoredValuesThanInt32CanSum()
    {
        const int k = 140_000;
        var weights = new sbyte[k];
        weights.AsSpan().Fill(-128);
        var product = new SparseProduct(weights, k, 1, true, [1f], []);
        var c = new float[1];
        product.Run([0, k], Enumerable.Range(0, k).ToArray(), Enumerable.Repeat(255f, k).ToArray(), 1, new AffineParameters(1f, 0), c, [], 1);
        Assert.AreEqual(-128f * 255 * k, c[0]);
    }

    [TestMethod]
    public void BadSparseRowsAreErrors()
    {
        var product = new SparseProduct([1, 2, 3, 4], 2, 2, false, [1f], []);
        var c = new float[2];
        Assert.ThrowsExactly<ArgumentException>(() => product.Run([0, 1], [2], [1f], 1, null, c, [], 1));
        Assert.ThrowsExactly<ArgumentException>(() => product.Run([0, 1], [-1], [1f], 1, null, c, [], 1));
        Assert.ThrowsExactly<ArgumentException>(() => product.Run([0, 2], [1], [1f], 1, null, c, [], 1));
        Assert.ThrowsExactly<ArgumentException>(() => product.Run([0], [1], [1f], 1, null, c, [], 1));
        Assert.ThrowsExactly<ArgumentException>(() => product.Run([0, 1, 1], [1], [1f], 2, null, c, [], 1));
        product.Run([0, 1], [1], [1f], 1, new AffineParameters(1f, 0), c, [], 1);
        CollectionAssert.AreEqual(new[] { 3f, 4f }, c);
    }

    private static int[] Bits(ReadOnlySpan<float> values) => MemoryMarshal.Cast<float, int>(values).ToArray();
}
