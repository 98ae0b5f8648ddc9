using MLNet.Quantization.Graph;
using MLNet.Quantization.Numerics;
using MLNet.Quantization.Pipeline;
using MLNet.Quantization.Tests.Ops;
using MLNet.Quantization.Training;

namespace MLNet.Quantization.Tests.Training;

[TestClass]
public sealed class FakeQuantizationTests
{
    /// <summary>Codes of training are those of conversion and of scoring, bit for bit.</summary>
    [TestMethod]
    [DataRow(8, 0)]
    [DataRow(8, 77)]
    [DataRow(4, 5)]
    [DataRow(2, 1)]
    public void ForwardIsQuantizeThenDequantize(int bits, int zero)
    {
        var grid = new CodeGrid(0, (1 << bits) - 1);
        var random = new Random(bits);
        float[] x = [0, float.NaN, float.PositiveInfinity, float.NegativeInfinity, 1e30f, -1e30f, 0.273939937f, .. Enumerable.Range(0, 1000).Select(_ => (float)((random.NextDouble() - 0.4) * 4))];
        var y = new float[x.Length];
        foreach (float scale in new[] { 0.00214854861f, 0.1f, 1f })
        {
            // Halves between codes, too.
            for (int i = 0; i < 40; i++) x[100 + i] = (i - 20) * scale / 2;
            FakeQuantization.Forward<float>(x, [scale], grid.Min - zero, grid.Max - zero, y);
            var p = new AffineParameters(scale, zero);
            for (int i = 0; i < x.Length; i++) Assert.AreEqual(Quantizer.Value(Quantizer.Code(x[i], p, grid), p), y[i], $"{x[i]} at scale {scale}");
        }
    }

    /// <summary>Esser et al., equation 3, and the clipped and plain straight-through estimator, at points with S = 0.5 on [-2, 1].</summary>
    [TestMethod]
    [DataRow(0.1, 0, 1, 0 - 0.2)]
    [DataRow(0.4, 0.5, 1, 1 - 0.8)]
    [DataRow(-0.6, -0.5, 1, -1 + 1.2)]
    [DataRow(0.5, 0.5, 1, 0)]
    [DataRow(0.7, 0.5, 0, 1)]
    [DataRow(-1.3, -1, 0, -2)]
    public void GradientsAreTheirFormulas(double x, double y, double clipped, double slope)
    {
        foreach (int n in new[] { 1, 40 })
        {
            double[] xs = [.. Enumerable.Repeat(x, n)], ys = new double[n], g = [.. Enumerable.Repeat(3.0, n)], dx = new double[n], plain = new double[n], ds = new double[1];
            FakeQuantization.Forward<double>(xs, [0.5], -2, 1, ys);
            FakeQuantization.Backward<double>(xs, [0.5], -2, 1, g, true, dx, ds);
            FakeQuantization.Backward<double>(xs, [0.5], -2, 1, g, false, plain, default);
            Assert.AreEqual(y, ys[^1], 1e-12);
            Assert.AreEqual(3 * clipped, dx[^1], 1e-12);
            Assert.AreEqual(3, plain[^1], 1e-12);
            Assert.AreEqual(3 * slope * n, ds[0], 1e-9);
        }
    }

    /// <summary>No step that is tried one by one is better by more than the distance of the candidates explains; few large values do not widen it at 2 bits.</summary>
    [TestMethod]
    [DataRow(8)]
    [DataRow(4)]
    [DataRow(2)]
    public void ALearnedStepStartsWhereTheErrorIsLeast(int bits)
    {
        var grid = CodeGrid.ForBits(bits, narrow: false);
        var random = new Random(bits);
        float[] x = [.. Enumerable.Range(0, 5000).Select(_ => (float)Math.Pow((random.NextDouble() * 2) - 1, 3))];
        float widest = x.Max(MathF.Abs) / grid.Max;
        float step = StepSearch.LeastSquares(x, widest, grid.Min, grid.Max);
        double least = Enumerable.Range(1, 400).Min(i => Error(widest * i / 400));
        Assert.IsLessThan(1.1 * least, Error(step));
        if (bits == 2) Assert.IsLessThan(0.8 * widest, step);

        double Error(float s)
        {
            var y = new float[x.Length];
            FakeQuantization.Forward<float>(x, [s], grid.Min, grid.Max, y);
            return x.Zip(y, (a, b) => ((double)a - b) * (a - b)).Sum();
        }
    }

    /// <summary>Weights in front of a batch normalization are rounded times its scale, whatever its variance has made of that.</summary>
    [TestMethod]
    [DataRow(1e4f)]
    [DataRow(1e-3f)]
    public void LearnedStepsOfNormalizedLayersStartFromWhatIsRounded(float variance)
    {
        var graph = TrainedNetworks.Normalized(1);
        var normalization = graph.Nodes.First(n => n.OpType == "BatchNormalization");
        var layer = graph.Nodes.First(n => n.Outputs.Contains(normalization.Inputs[0]));
        var weights = graph.Initializers[layer.Inputs[1]];
        int channels = weights.Dims[0];
        graph = graph with { Initializers = graph.Initializers.SetItem(normalization.Inputs[4], Tensor.Create([.. Enumerable.Repeat(variance, channels)], channels)) };
        var network = new QuantizationAwareNetwork(graph, new() { LearnsSteps = true }, graph.Outputs[0].Name, 1);
        var steps = network.Parameters.First(p => p.Name.StartsWith($"{layer.DisplayName}_log_step", StringComparison.Ordinal)).Value;
        var scale = graph.Initializers[normalization.Inputs[1]];
        Assert.AreEqual(channels, steps.Count);
        for (int c = 0; c < channels; c++)
        {
            var own = weights.Span<float>().Slice(c * weights.Count / channels, weights.Count / channels).ToArray();
            double widest = own.Max(MathF.Abs) * Math.Abs(scale.Span<float>()[c]) / Math.Sqrt(variance + 1e-5) / 127;
            Assert.AreEqual(1, Math.Exp(steps.Data[c]) / widest, 0.3);
        }
    }

    [TestMethod]
    [DataRow(1, 3, 5)]
    [DataRow(4, 6, 1)]
    [DataRow(2, 3, 4)]
    public void ScalesOfWeightsAreThoseOfConversion(int outer, int channels, int inner)
    {
        var random = new Random(5);
        float[] w = [.. Enumerable.Range(0, outer * channels * inner).Select(_ => (float)(random.NextDouble() - 0.5))];
        var steps = new WeightSteps(new(outer, channels, inner), CodeGrid.ForBits(4, narrow: true), new());
        steps.Update(w, []);
        for (int c = 0; c < channels; c++)
        {
            float greatest = Enumerable.Range(0, w.Length).Where(i => i / inner % channels == c).Max(i => Math.Abs(w[i]));
            Assert.AreEqual((float)(greatest / 7.0), steps.Scales[c]);
        }
        var whole = new WeightSteps(new(outer, channels, inner), CodeGrid.ForBits(4, narrow: true), new() { Granularity = WeightGranularity.PerTensor });
        whole.Update(w, []);
        CollectionAssert.AreEqual(new[] { (float)(w.Max(Math.Abs) / 7.0) }, whole.Scales);
    }

    [TestMethod]
    public void NormalizationScalesGoThereAndBack()
    {
        var layout = new ChannelLayout(1, 3, 4);
        var variance = new Dictionary<int, Tensor> { [1] = Tensor.Create([0.5f, -2f, 0f], 3), [2] = Tensor.Create([0.1f, 4f, 1f], 3) };
        GradientCheck.Run(Node.Create("n", "w", ["w", "s", "v"], ["y"]), [[3, 2, 2], [3], [3]], new(1), variance, op: new NormalizedWeights(layout, 1e-5f));
        GradientCheck.Run(Node.Create("n", "w", ["y0", "s", "v"], ["y"]), [[2, 3, 4], [3], [3]], new(1), variance, op: new WithoutNormalization(1e-5f));
        GradientCheck.Run(Node.Create("n", "w", ["y0", "s", "v"], ["y"]), [[2, 3], [3], [3]], new(1), variance, op: new WithoutNormalization(1e-5f));
    }

    [TestMethod]
    public void ARangeIsThatOfTheFirstBatchThenAMovingAverage()
    {
        var quantizer = new ActivationQuantizer(["a", "b"], CodeGrid.UInt8, new() { AveragingConstant = 0.25 });
        quantizer.Observe(0, [0, 2]);
        Assert.AreEqual(2f / 255, quantizer.Current.Scale);
        quantizer.Observe(0, [0, 4]);
        Assert.AreEqual(2.5f / 255, quantizer.Current.Scale);
        quantizer.Observe(1, [-2.5f, 1]);
        Assert.AreEqual(new AffineParameters(5f / 255, 127), quantizer.Current, "the range of all values that share the scale");
        quantizer.Observe(0, [float.NaN, 1000]);
        quantizer.IsFrozen = true;
        quantizer.Observe(0, [1000]);
        Assert.AreEqual(5f / 255, quantizer.Current.Scale);
    }
}
