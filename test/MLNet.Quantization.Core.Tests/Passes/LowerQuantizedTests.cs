using MLNet.Quantization.Graph;
using MLNet.Quantization.Passes;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests.Passes;

/// <summary>Graphs as other tools quantize them: lowered, they score as ONNX Runtime scores the file, up to single steps of the last codes.</summary>
[TestClass]
public class LowerQuantizedTests
{
    private const int Rows = 9, K = 21, N = 6;
    private const float InputScale = 0.017f, OutputScale = 0.06f;

    /// <summary>The INT8 engine multiplies sums by (Sa·Sw)/Sy where the file multiplies and adds floats: near a tie a code may differ by one.</summary>
    private const float OneStep = OutputScale * 1.0001f;

    [TestMethod]
    [DataRow(false, false)]
    [DataRow(true, false)]
    [DataRow(false, true)]
    [DataRow(true, true)]
    public void GemmWithBiasAndReluBetweenQuantizers(bool signedInput, bool transposed)
    {
        var g = new QdqGraph(Rows, K);
        string weights = transposed ? g.Weights(N, K, 0) : g.Weights(K, N, 1);
        string x = g.Around("x", InputScale, signedInput ? -5 : 120, signedInput);
        string h = g.Add("Gemm", AttributeMap.Empty.With("transB", transposed ? 1 : 0), x, weights, g.Bias(N, InputScale));
        var lowered = AssertAgrees(g.Build(g.Around(g.Add("Relu", h), OutputScale, signedInput ? -128 : 0, signedInput)), g);
        CollectionAssert.AreEqual(
            signedInput ? new[] { "QuantizeLinear", "QuantizedLinear", "DequantizeLinear", "Mul" } : ["QuantizedLinear", "DequantizeLinear", "Mul"], Types(lowered));
    }

    [TestMethod]
    [DataRow("Relu")]
    [DataRow("Sigmoid")]
    [DataRow("Tanh")]
    [DataRow("LeakyRelu")]
    [DataRow("Clip")]
    public void AnActivationWithQuantizersOfItsOwnBecomesATable(string function)
    {
        foreach (bool signed in new[] { false, true })
        {
            var g = new QdqGraph(Rows, K);
            int zero = signed ? -11 : 117;
            string h = g.Around(g.Add("MatMul", g.Around("x", InputScale, zero, signed), g.Weights(K, N, 1)), OutputScale, zero, signed);
            string f = function == "Clip" ? g.Add("Clip", h, g.Float(-0.5f), g.Float(2)) : g.Add(function, h);
            var lowered = AssertAgrees(g.Build(g.Around(f, OutputScale, zero, signed)), g);
            CollectionAssert.Contains(Types(lowered), "CodeTable");
            CollectionAssert.DoesNotContain(Types(lowered), function);
        }
    }

    [TestMethod]
    public void TablesAreTheFunctionsBitForBit()
    {
        foreach (string function in new[] { "Relu", "Sigmoid", "Tanh", "LeakyRelu", "Exp" })
        {
            var g = new QdqGraph(1, 256);
            string scaled = g.Add("Mul", g.Float(-3f), g.Add(function, g.Around("x", 0.0157f, 128)));
            var graph = g.Build(g.Around(scaled, 0.011f, 40));
            float[] x = [.. Enumerable.Range(0, 256).Select(i => (i - 128) * 0.0157f)];
            CollectionAssert.AreEqual(QdqGraph.Score(graph, x), QdqGraph.Score(LowerQuantized.Apply(graph), x));
            CollectionAssert.Contains(Types(LowerQuantized.Apply(graph)), "CodeTable");
        }
    }

    /// <summary>A slope for each channel: one table a channel, with bounds behind it, channels last or of a matrix.</summary>
    [TestMethod]
    public void SlopesByChannelAreTablesBitForBit()
    {
        foreach (bool signed in new[] { false, true })
            foreach (var (dims, slope) in new (int[], int[])[] { ([2, 7, 3, 5], [7, 1, 1]), ([1, 40, 9], [1, 40, 1]), ([9, 21], [21]), ([1, 2, 2, 3, 2], [2, 1, 1, 1]), ([0, 3, 2, 2], [3, 1, 1]) })
                foreach (bool bounded in new[] { false, true })
                {
                    var g = new QdqGraph(dims);
                    int zero = signed ? -11 : 117;
                    float[] slopes = [.. Enumerable.Range(0, slope.Aggregate(1, (p, d) => p * d)).Select(c => (c % 5 * 0.3f) - 0.4f)];
                    g.Constant("slope", Tensor.Create(slopes, slope));
                    string h = g.Add("PRelu", g.Around(g.Add("Tanh", "x"), InputScale, zero, signed), "slope");
                    if (bounded) h = g.Add("Clip", h, g.Float(-0.2f), g.Float(0.7f));
                    var graph = g.Build(g.Around(h, 0.011f, zero + 20, signed));
                    var lowered = LowerQuantized.Apply(graph);
                    CollectionAssert.Contains(Types(lowered), "ChannelTable");
                    CollectionAssert.DoesNotContain(Types(lowered), "PRelu");
                    CollectionAssert.AreEqual(QdqGraph.Score(graph, g.RandomInput()), QdqGraph.Score(lowered, g.RandomInput()), string.Join(',', dims));
                }
    }

    [TestMethod]
    public void ASlopeAlongAnotherAxisStaysFloat()
    {
        foreach (int[] slope in new int[][] { [5], [3, 1], [7, 3, 5], [2, 1, 1, 1] })
        {
            var g = new QdqGraph(2, 7, 3, 5);
            g.Constant("slope", Tensor.Create(Enumerable.Range(0, slope.Aggregate(1, (p, d) => p * d)).Select(c => c * 0.1f).ToArray(), slope));
            var graph = g.Build(g.Around(g.Add("PRelu", g.Around("x", InputScale, 117), "slope"), InputScale, 117));
            var lowered = LowerQuantized.Apply(graph);
            CollectionAssert.Contains(Types(lowered), "PRelu");
            CollectionAssert.AreEqual(QdqGraph.Score(graph, g.RandomInput()), QdqGraph.Score(lowered, g.RandomInput()));
        }
    }

    [TestMethod]
    [DataRow(-0.3f, 1.1f)]
    [DataRow(float.NegativeInfinity, 0.5f)]
    [DataRow(0.2f, float.PositiveInfinity)]
    public void BoundsOfClipAreBoundsOfCodes(float min, float max)
    {
        var g = new QdqGraph(Rows, K);
        string h = g.Add("Gemm", g.Around("x", InputScale, 120), g.Weights(K, N, 1), g.Bias(N, InputScale));
        string clipped = g.Add("Clip", h, float.IsInfinity(min) ? "" : g.Float(min), float.IsInfinity(max) ? "" : g.Float(max));
        var lowered = AssertAgrees(g.Build(g.Around(clipped, OutputScale, 100)), g);
        CollectionAssert.AreEqual(new[] { "QuantizedLinear", "DequantizeLinear", "Mul" }, Types(lowered));
    }

    [TestMethod]
    [DataRow(128)]
    [DataRow(97)]
    [DataRow(0)]
    public void UnsignedWeightsAreLoweredWhereTheyFit(int zero)
    {
        var g = new QdqGraph(Rows, K);
        var random = new Random(2);
        byte[] codes = [.. Enumerable.Range(0, K * N).Select(_ => (byte)random.Next(zero == 0 ? 0 : zero - 97, zero == 0 ? 256 : zero + 98))];
        g.Constant("w", Tensor.Create(codes, K, N));
        string weights = g.Dequantize("w", 0.006f, zero);
        var graph = g.Build(g.Around(g.Add("MatMul", g.Around("x", InputScale, 120), weights), OutputScale, 100));
        var lowered = AssertAgrees(graph, g);
        var layer = QuantizedModel.FromGraph(graph).Report.Layers.Single();
        Assert.AreEqual(zero != 0, layer.IsInt8);
        Assert.AreEqual(zero != 0, Types(lowered).Contains("QuantizedLinear"));
        if (zero == 0) StringAssert.Contains(layer.Reason, "asymmetric");
    }

    [TestMethod]
    public void ASumIsComputedOnCodesAndWhatHasNoPatternInFloat()
    {
        var g = new QdqGraph(Rows, K);
        string x = g.Around("x", InputScale, 120);
        string a = g.Around(g.Add("MatMul", x, g.Weights(K, N, 1)), OutputScale, 100), b = g.Around(g.Add("MatMul", x, g.Weights(K, N, 1)), OutputScale, 90);
        string sum = g.Around(g.Add("Add", a, b), 2 * OutputScale, 95);
        string soft = g.Around(g.Add("Softmax", AttributeMap.Empty.With("axis", -1L), sum), 1f / 256, 0);
        var graph = g.Build(soft);
        var lowered = LowerQuantized.Apply(graph);
        CollectionAssert.IsSubsetOf(new[] { "QuantizedArithmetic", "Softmax" }, Types(lowered));
        Assert.AreEqual(2, lowered.Nodes.Count(n => n.OpType == "QuantizedLinear"));
        Compare(QdqGraph.ScoreElsewhere(graph, g.RandomInput()), QdqGraph.Score(lowered, g.RandomInput()), 12f / 256, 0.1);
    }

    [TestMethod]
    public void ABiasOfFloatsOrOfAnotherScaleStaysFloat()
    {
        foreach (bool floats in new[] { false, true })
        {
            var g = new QdqGraph(Rows, K);
            string bias = floats ? g.Float(1, -2, 3, 0.5f, 0, 0.25f) : g.Bias(N, 3 * InputScale);
            string h = g.Add("Gemm", g.Around("x", InputScale, 120), g.Weights(K, N, 1), bias);
            var lowered = AssertAgrees(g.Build(g.Around(h, OutputScale, 100)), g);
            CollectionAssert.AreEqual(new[] { "QuantizedLinear", "QuantizeLinear", "DequantizeLinear", "Mul" }, Types(lowered));
        }
    }

    [TestMethod]
    public void MatMulAndAddOfThreeAxesTakeTheBiasAlong()
    {
        var g = new QdqGraph(2, Rows, K);
        string h = g.Add("Add", g.Float(1, -2, 3, 0.5f, 0, 0.25f), g.Add("MatMul", g.Around("x", InputScale, 120), g.Weights(K, N, 1)));
        var lowered = AssertAgrees(g.Build(h), g);
        CollectionAssert.DoesNotContain(Types(lowered), "Add");
        var dynamic = g.Build(h);
        dynamic = dynamic with { Metadata = dynamic.Metadata with { Properties = dynamic.Metadata.Properties.Add(PlaceQuantizers.ActivationsProperty, PlaceQuantizers.Dynamic) } };
        CollectionAssert.DoesNotContain(Types(LowerQuantized.Apply(dynamic)), "Add");
    }

    [TestMethod]
    public void ReasonsOfTheReportAreWhatLoweringDoes()
    {
        var g = new QdqGraph(Rows, K);
        string weightOnly = g.Add("MatMul", "x", g.Weights(K, N, 1));
        string wrongAxis = g.Add("MatMul", g.Around("x", InputScale, 120), g.Weights(K, N, 0));
        string factor = g.Add("Gemm", AttributeMap.Empty.With("alpha", 2f), g.Around("x", InputScale, 120), g.Weights(K, N, 1));
        string good = g.Add("MatMul", g.Around("x", InputScale, 120), g.Weights(K, N, 1));
        var graph = g.Build(g.Add("Add", g.Add("Add", weightOnly, wrongAxis), g.Add("Add", factor, good)));
        var layers = QuantizedModel.FromGraph(graph).Report.Layers.ToDictionary(l => l.Name);
        Assert.AreEqual("its input is not quantized", layers[weightOnly].Reason);
        StringAssert.Contains(layers[wrongAxis].Reason, "axis 0");
        Assert.AreEqual("alpha is not 1", layers[factor].Reason);
        Assert.IsTrue(layers[good].IsInt8);
        Assert.AreEqual(4L * K * N, layers[good].WeightBytesBefore);
        Assert.AreEqual(K * N + 4L * N, layers[good].WeightBytesAfter);
        Assert.AreEqual(InputScale * (0 - 120), layers[good].InputMin);
        Assert.AreEqual(InputScale * (255 - 120), layers[good].InputMax);
        AssertAgrees(graph, g);
    }

    [TestMethod]
    public void WeightsThatTheFileQuantizesItselfAreFolded()
    {
        var g = new QdqGraph(Rows, K);
        var random = new Random(2);
        g.Constant("w", Tensor.Create(Enumerable.Range(0, K * N).Select(_ => random.NextSingle() - 0.5f).ToArray(), K, N));
        var graph = g.Build(g.Add("MatMul", g.Around("x", InputScale, 120), g.Around("w", 0.5f / 127, 0, signed: true)));
        CollectionAssert.AreEqual(new[] { "QuantizedLinear", "Mul" }, Types(AssertAgrees(graph, g)));
        Assert.AreEqual(K * N + 4L, QuantizedModel.FromGraph(graph).Report.Layers.Single().WeightBytesAfter);
    }

    [TestMethod]
    public void OwnModelsPassCodesFromLayerToLayer()
    {
        var g = new QdqGraph(Rows, K);
        var random = new Random(2);
        string Dense(string x, int k, int n)
        {
            string name = $"w{k}_{n}_{x}";
            g.Constant(name, Tensor.Create(Enumerable.Range(0, k * n).Select(_ => random.NextSingle() - 0.5f).ToArray(), k, n));
            return g.Add("Gemm", x, name, g.Float([.. Enumerable.Range(0, n).Select(i => i / 10f)]));
        }
        // Two branches, moved and joined.
        string a = g.Add("Relu", Dense("x", K, 8)), b = g.Add("Clip", Dense("x", K, 4), g.Float(-1), g.Float(1));
        string turned = g.Add("Reshape", g.Add("Transpose", g.Add("Reshape", a, g.List(0, 2, 4))), g.List(-1, 8));
        string there = g.Add("Unsqueeze", turned, g.List(0)), back = g.Add("Squeeze", there, g.List(0));
        string joined = g.Add("Concat", AttributeMap.Empty.With("axis", 1), back, b);
        var graph = g.Build(Dense(joined, 12, 3));
        var model = PreparedModel.Prepare(graph, new() { SymbolicBatch = false });
        var session = new CalibrationSession(model, CalibrationOptions.Default);
        using (var run = session.Program.Rent([Rows, K]))
        {
            g.RandomInput().CopyTo(run.Input<float>(0));
            session.Observe(run, 0);
        }
        var quantized = QuantizationRecipe.QuantizeStatic(model, session.Finish());
        var lowered = LowerQuantized.Apply(quantized.Graph);
        Assert.IsTrue(quantized.Report.Layers.All(l => l.IsInt8));
        Assert.AreEqual(3, lowered.Nodes.Count(n => n.OpType == "QuantizedLinear"));
        CollectionAssert.DoesNotContain(Types(lowered), "DequantizeLinear");
        Assert.AreEqual(1, lowered.Nodes.Count(n => n.OpType == "QuantizeLinear"), "x, which two layers read, is quantized once");
        AssertAgrees(quantized.Graph, g);
    }

    private static ModelGraph AssertAgrees(ModelGraph graph, QdqGraph g)
    {
        var lowered = LowerQuantized.Apply(graph);
        Compare(QdqGraph.ScoreElsewhere(graph, g.RandomInput()), QdqGraph.Score(lowered, g.RandomInput()), OneStep, 0.02);
        return lowered;
    }

    /// <param name="expected">By ONNX Runtime.</param>
    /// <param name="found">By the engine.</param>
    /// <param name="tolerance">No difference is larger.</param>
    /// <param name="share">Of the values, may differ by more than rounding of floats.</param>
    private static void Compare(float[] expected, float[] found, float tolerance, double share)
    {
        Assert.HasCount(expected.Length, found);
        int apart = 0;
        for (int i = 0; i < found.Length; i++)
        {
            float difference = MathF.Abs(expected[i] - found[i]);
            Assert.IsLessThanOrEqualTo(tolerance, difference);
            if (difference > 1e-5f * MathF.Max(1, MathF.Abs(expected[i]))) apart++;
        }
        Assert.IsLessThanOrEqualTo(share * found.Length + 1, apart);
    }

    private static List<string> Types(ModelGraph graph) => [.. graph.Nodes.Select(n => n.OpType)];
}
