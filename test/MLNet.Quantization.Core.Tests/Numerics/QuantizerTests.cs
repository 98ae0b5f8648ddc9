using MLNet.Quantization.Numerics;
using MLNet.Quantization.Tests.Kernels;

namespace MLNet.Quantization.Tests.Numerics;

[TestClass]
public sealed class QuantizerTests
{
    private static readonly float[] Hostile =
    [
        0, -0f, float.NaN, float.PositiveInfinity, float.NegativeInfinity, float.MaxValue, float.MinValue, float.Epsilon, -float.Epsilon,
        3e9f, -3e9f, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 126.5f, 127.5f, 254.5f, 255.5f, 0.273939937f,
    ];

    [TestMethod]
    [DataRow(0.273939937f, 0.00214854861f, 0, 127)] // by division; a reciprocal would give 128
    [DataRow(0.5f, 1f, 1, 1)] // rounded before Z is added
    [DataRow(float.NaN, 1f, 3, 0)]
    [DataRow(float.PositiveInfinity, 1f, 3, 255)]
    [DataRow(float.NegativeInfinity, 1f, 3, 0)]
    [DataRow(3e9f, 1f, 3, 255)]
    public void CodesOfKnownValues(float x, float scale, int zeroPoint, int code)
    {
        var codes = new byte[1];
        Quantizer.Quantize([x], new(scale, zeroPoint), codes);
        Assert.AreEqual(code, codes[0]);
    }

    [TestMethod]
    public void EveryLengthAgreesWithTheDefinition()
    {
        var random = new Random(2);
        foreach (int n in (int[])[0, 1, 3, 15, 16, 17, 31, 33, 63, 64, 65, 127, 1000])
            foreach (float scale in (float[])[1, 0.01f, 1e-30f, 1e30f])
                foreach (int zeroPoint in (int[])[0, 1, 127, 128, 255])
                {
                    var x = Enumerable.Range(0, n).Select(i => random.Next(4) == 0 ? Hostile[random.Next(Hostile.Length)] : (float)((random.NextDouble() - 0.5) * 300 * scale)).ToArray();
                    var unsigned = new byte[n];
                    Quantizer.Quantize(x, new(scale, zeroPoint), unsigned);
                    CollectionAssert.AreEqual(x.Select(v => (byte)Quantizer.Code(v, new(scale, zeroPoint), CodeGrid.UInt8)).ToArray(), unsigned);

                    var grid = zeroPoint == 0 ? CodeGrid.Int8 : CodeGrid.Int8Narrow;
                    var p = new AffineParameters(scale, Math.Max(zeroPoint - 128, grid.Min));
                    var signed = new sbyte[n];
                    Quantizer.Quantize(x, p, signed, grid);
                    CollectionAssert.AreEqual(x.Select(v => (sbyte)Quantizer.Code(v, p, grid)).ToArray(), signed);
                }
    }

    /// <summary>Where a quotient is not got by a division it must round as one does, also where that decides the code.</summary>
    [TestMethod]
    public void ValuesAtTheEdgesOfCodesRoundAsTheirQuotientDoes()
    {
        const int n = 301 * 5;
        var random = new Random(3);
        float[] x = new float[n];
        byte[] codes = new byte[n];
        for (int round = 0; round < 1000; round++)
        {
            var p = new AffineParameters(MathF.Pow(2, random.Next(-70, 70)) * (1 + random.NextSingle()), random.Next(256));
            for (int i = 0; i < n; i++)
            {
                float edge = (float)((i / 5 - 20 - p.ZeroPoint + 0.5) * p.Scale);
                for (int step = i % 5 - 2; step != 0; step -= Math.Sign(step)) edge = step > 0 ? MathF.BitIncrement(edge) : MathF.BitDecrement(edge);
                x[i] = edge;
            }
            foreach (float hostile in Hostile) x[random.Next(n)] = hostile;
            Quantizer.Quantize(x, p, codes);
            for (int i = 0; i < n; i++) Assert.AreEqual(Quantizer.Code(x[i], p, CodeGrid.UInt8), codes[i], $"{x[i]:R} / {p.Scale:R} + {p.ZeroPoint}");
        }
    }

    [TestMethod]
    public void CodesComeBackAsTheyWere()
    {
        var all = Enumerable.Range(0, 256).Select(i => (byte)i).ToArray();
        var values = new float[256];
        var codes = new byte[256];
        foreach (float scale in (float[])[1, 0.1f, 3e-7f, 1e20f])
        {
            Quantizer.Dequantize(all, new(scale, 77), values);
            Quantizer.Quantize(values, new(scale, 77), codes);
            CollectionAssert.AreEqual(all, codes);
            Quantizer.Dequantize(Array.ConvertAll(all, c => (sbyte)c), new(scale, -5), values);
            Assert.AreEqual(scale * -123, values[128]);
        }
    }

    [TestMethod]
    public void ValuesOfEveryLengthAgreeWithTheDefinition()
    {
        var random = new Random(10);
        foreach (int n in (int[])[0, 1, 3, 15, 16, 17, 31, 33, 255, 257])
            foreach (float scale in (float[])[1, 0.1f, 1e-30f, 1e38f])
                foreach (int zeroPoint in (int[])[0, 1, 127, 128, 255])
                {
                    var codes = new byte[n];
                    random.NextBytes(codes);
                    using var unsigned = new GuardedMemory<byte>(codes);
                    using var signed = new GuardedMemory<sbyte>(Array.ConvertAll(codes, c => unchecked((sbyte)c)));
                    using var values = new GuardedMemory<float>(n);
                    Quantizer.Dequantize(unsigned.Span, new(scale, zeroPoint), values.Span);
                    for (int i = 0; i < n; i++) Assert.AreEqual(scale * (codes[i] - zeroPoint), values.Span[i]);
                    Quantizer.Dequantize(signed.Span, new(scale, zeroPoint - 128), values.Span);
                    for (int i = 0; i < n; i++) Assert.AreEqual(scale * (unchecked((sbyte)codes[i]) - (zeroPoint - 128)), values.Span[i]);
                    Quantizer.Quantize(values.Span, new(scale, zeroPoint), unsigned.Span);
                    Quantizer.Quantize(values.Span, new(scale, zeroPoint - 128), signed.Span);
                }
    }

    [TestMethod]
    public void WrongLengthsAndZeroPointsAreRefused()
    {
        Assert.ThrowsExactly<ArgumentException>(() => Quantizer.Quantize(new float[2], new(1, 0), new byte[3]));
        Assert.ThrowsExactly<ArgumentException>(() => Quantizer.Quantize(new float[2], new(1, -1), new byte[2]));
        Assert.ThrowsExactly<ArgumentException>(() => Quantizer.Quantize(new float[2], new(1, -128), new sbyte[2], CodeGrid.Int8Narrow));
        Assert.ThrowsExactly<ArgumentException>(() => Quantizer.Dequantize(new byte[3], new(1, 0), new float[2]));
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void WeightsGetAScaleAChannel(bool transposed)
    {
        // Channels (1, -2), (0, 0), (4, 0.5).
        float[] weights = transposed ? [1, -2, 0, 0, 4, 0.5f] : [1, 0, 4, -2, 0, 0.5f];
        var scales = WeightQuantizer.Scales(weights, 3, transposed, WeightGranularity.PerChannel, CodeGrid.Int8Narrow, out int floored);
        CollectionAssert.AreEqual(new[] { 2f / 127, 1f, 4f / 127 }, scales);
        Assert.AreEqual(0, floored);
        var codes = WeightQuantizer.Codes(weights, 3, transposed, scales, CodeGrid.Int8Narrow);
        sbyte[] expected = transposed ? [64, -127, 0, 0, 127, 16] : [64, 0, 127, -127, 0, 16];
        CollectionAssert.AreEqual(expected, codes);
        CollectionAssert.AreEqual(new[] { 4f / 127 }, WeightQuantizer.Scales(weights, 3, transposed, WeightGranularity.PerTensor, CodeGrid.Int8Narrow, out _));
        Assert.IsTrue(WeightQuantizer.SignalToNoise(weights, 3, transposed, scales, codes) is > 40 and < 80);
    }

    [TestMethod]
    public void WeightsThatAreNotFiniteAreRefused() =>
        Assert.ThrowsExactly<ArgumentException>(() => WeightQuantizer.Scales([1, float.NaN], 2, false, WeightGranularity.PerChannel, CodeGrid.Int8Narrow, out _));
}
