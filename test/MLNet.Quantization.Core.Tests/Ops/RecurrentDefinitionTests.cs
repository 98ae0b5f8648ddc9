using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;
using static MLNet.Quantization.Tests.Ops.RecurrentRunner;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>Recurrent layers in INT8, bit for bit: run on every kernel and every vector width.</summary>
[TestClass]
public sealed class RecurrentDefinitionTests
{
    [TestMethod]
    public void TheRatioOfGatesIsTanh()
    {
        double worst = 0;
        for (float x = -12; x < 12; x += 1 / 4096f)
        {
            var ratio = GateRatio<LanesScalar, float, int>.Tanh(x);
            worst = Math.Max(worst, Math.Abs((ratio.Numerator / ratio.Denominator) - Math.Tanh(x)));
            worst = Math.Max(worst, Math.Abs(GateRatio<LanesScalar, float, int>.Sigmoid(x).SigmoidValue - (1 / (1 + Math.Exp(-(double)x)))));
        }
        Assert.IsLessThan(3e-7, worst);
        foreach (float x in new[] { float.PositiveInfinity, float.MaxValue, 1e30f })
        {
            var ratio = GateRatio<LanesScalar, float, int>.Tanh(x);
            Assert.AreEqual(1, ratio.Numerator / ratio.Denominator, 3e-7);
        }
        Assert.IsTrue(float.IsNaN(GateRatio<LanesScalar, float, int>.Tanh(float.NaN).Numerator));
    }

    [TestMethod]
    public void Int8IsItsDefinitionBitForBit()
    {
        foreach (string cell in new[] { "LSTM", "GRU", "RNN" })
            for (int seed = 0; seed < 24; seed++)
            {
                var random = new Random(seed);
                var node = new RecurrentNode(cell, seed, random.Next(1, 7), random.Next(1, 9), random.Next(1, 40), random.Next(1, 40));
                var expected = new NaiveRecurrent(node);
                float[][] found = Run(Int8(node, out var report), node, seed % 2 + 1);
                Assert.IsTrue(report.Layers.Single().IsInt8, $"{node}");
                SameBits(expected.Y, found[0], $"Y, seed {seed}, {node}");
                SameBits(expected.YH, found[1], $"Y_h, seed {seed}, {node}");
                if (cell == "LSTM") SameBits(expected.YC, found[2], $"Y_c, seed {seed}, {node}");
            }
    }

    [TestMethod]
    public void ARowHasTheSameBitsAloneInABatchPaddedAndOnThreads()
    {
        foreach (string cell in new[] { "LSTM", "GRU", "RNN" })
            foreach (string direction in new[] { "forward", "bidirectional" })
            {
                const int Rows = 1000, Steps = 9, Inputs = 12, Hidden = 20;
                var all = new RecurrentNode(cell, 5, Steps, Rows, Inputs, Hidden, direction: direction) { H = null, C = null };
                var random = new Random(1);
                all.Lengths = [.. Enumerable.Range(0, Rows).Select(_ => random.Next(1, Steps + 1))];
                var program = Int8(all, out _, symbolic: true);
                float[][] one = Run(program, all, 1), two = Run(program, all, 2);
                for (int o = 0; o < one.Length; o++) SameBits(one[o], two[o], $"{cell} {direction}, threads");
                foreach (int row in new[] { 0, 1, 17, 998, 999 })
                {
                    // Alone, and without the steps behind its end.
                    int length = all.Lengths[row];
                    var x = new float[length * Inputs];
                    for (int t = 0; t < length; t++) all.X.Span<float>().Slice(((t * Rows) + row) * Inputs, Inputs).CopyTo(x.AsSpan(t * Inputs));
                    float[][] alone = Run(program, [Tensor.Create(x, length, 1, Inputs), Tensor.Create([length], 1)], 1);
                    for (int d = 0; d < all.Directions; d++)
                        SameBits(alone[1].AsSpan(d * Hidden, Hidden).ToArray(), one[1].AsSpan(((d * Rows) + row) * Hidden, Hidden).ToArray(), $"{cell} {direction}, row {row}");
                    for (int t = 0; t < length; t++)
                        SameBits(
                            alone[0].AsSpan(t * all.Directions * Hidden, Hidden).ToArray(), one[0].AsSpan(((t * all.Directions * Rows) + row) * Hidden, Hidden).ToArray(), $"{cell} {direction}, row {row}, step {t}");
                }
            }
    }
}
