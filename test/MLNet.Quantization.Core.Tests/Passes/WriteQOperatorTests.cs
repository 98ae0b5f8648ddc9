using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Passes;

namespace MLNet.Quantization.Tests.Passes;

/// <summary>
/// Graphs in QDQ form written with operators on codes: ONNX Runtime runs both files, as they stand and optimized, and the scores agree up to
/// single steps of the last codes.
/// </summary>
[TestClass]
public class WriteQOperatorTests
{
    private const float InputScale = 0.017f, OutputScale = 0.06f;

    /// <summary>QDQ adds and rounds floats where operators on codes multiply integers: near a tie a code may differ by one.</summary>
    private const float OneStep = OutputScale * 1.0001f;

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void AConvolutionWithBiasAndRelu(bool signed)
    {
        var g = new QdqGraph(2, 4, 7, 6);
        int zero = signed ? -5 : 120, low = signed ? -128 : 0;
        string h = g.Add("Conv", FloatGraph.Ints("pads", 1, 1, 1, 1).With("group", 2), g.Around("x", InputScale, zero, signed), Kernel(g, 6, 2, 3, 3), g.Bias(6, InputScale));
        AssertWritten(g, g.Around(g.Add("Relu", h), OutputScale, low, signed), "QuantizeLinear QLinearConv DequantizeLinear Mul");
    }

    [TestMethod]
    public void ABoundWithinTheRangeOfCodesIsAClipOfCodes()
    {
        var g = new QdqGraph(2, 4, 9);
        string h = g.Add("Conv", AttributeMap.Empty, g.Around("x", InputScale, 120), Kernel(g, 5, 4, 3), g.Bias(5, InputScale));
        AssertWritten(g, g.Around(g.Add("Relu", h), OutputScale, 77), "QuantizeLinear QLinearConv Clip DequantizeLinear Mul");
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void GemmMakesCodesOrFloats(bool transposed)
    {
        var g = new QdqGraph(3, 20);
        string weights = transposed ? g.Weights(7, 20, 0) : g.Weights(20, 7, 1);
        var attributes = AttributeMap.Empty.With("transB", transposed ? 1 : 0);
        string h = g.Around(g.Add("Relu", g.Add("Gemm", attributes, g.Around("x", InputScale, 120), weights, g.Bias(7, InputScale))), OutputScale, 0);
        AssertWritten(g, g.Add("Gemm", h, g.Weights(7, 5, 1), g.Bias(5, OutputScale)), "QuantizeLinear QGemm QGemm Mul");
        // Without a bias.
        g = new QdqGraph(3, 20);
        weights = transposed ? g.Weights(7, 20, 0) : g.Weights(20, 7, 1);
        AssertWritten(g, g.Around(g.Add("Gemm", attributes, g.Around("x", InputScale, 120), weights), OutputScale, 90), "QuantizeLinear QGemm DequantizeLinear Mul");
    }

    [TestMethod]
    public void AStackOfRowsTimesAMatrix()
    {
        var g = new QdqGraph(2, 3, 20);
        string h = g.Around(g.Add("MatMul", g.Around("x", InputScale, 120), g.Weights(20, 7, 1)), OutputScale, 90);
        string biased = g.Around(g.Add("Add", g.Add("MatMul", h, g.Weights(7, 5, 1)), g.Float(1, -2, 3, -4, 0.5f)), OutputScale, 90);
        AssertWritten(
            g, g.Add("MatMul", biased, g.Weights(5, 4, 1)), "QuantizeLinear QLinearMatMul MatMulIntegerToFloat QuantizeLinear MatMulIntegerToFloat Mul");
    }

    [TestMethod]
    [DataRow("Add", false)]
    [DataRow("Mul", false)]
    [DataRow("Add", true)]
    [DataRow("Mul", true)]
    public void SumsAndProductsOfTwo(string operation, bool signed)
    {
        int zero = signed ? 3 : 131;
        var g = new QdqGraph(2, 3, 4, 5);
        string a = g.Around("x", InputScale, zero, signed), b = g.Around(g.Add("Tanh", "x"), 0.01f, zero, signed);
        AssertWritten(g, g.Around(g.Add(operation, a, b), OutputScale, zero, signed), $"QuantizeLinear Tanh QuantizeLinear QLinear{operation} DequantizeLinear Mul");
    }

    [TestMethod]
    [DataRow("GlobalAveragePool")]
    [DataRow("AveragePool")]
    [DataRow("Sigmoid")]
    [DataRow("LeakyRelu")]
    public void MeansAndFunctions(string type)
    {
        foreach (bool signed in new[] { false, true })
        {
            int zero = signed ? 3 : 131;
            var g = new QdqGraph(2, 3, 4, 5);
            var attributes = type == "AveragePool" ? FloatGraph.Ints("kernel_shape", 2, 3).With("pads", ImmutableArray.Create(0L, 1, 1, 0)) : type == "LeakyRelu" ? AttributeMap.Empty.With("alpha", 0.3f) : AttributeMap.Empty;
            AssertWritten(g, g.Around(g.Add(type, attributes, g.Around("x", InputScale, zero, signed)), OutputScale, zero, signed), $"QuantizeLinear QLinear{type} DequantizeLinear Mul");
        }
    }

    /// <summary>What only moves data reads codes, and ONNX Runtime has a kernel for that.</summary>
    [TestMethod]
    [DataRow("Concat")]
    [DataRow("DepthToSpace")]
    [DataRow("Expand")]
    [DataRow("Flatten")]
    [DataRow("Gather")]
    [DataRow("GlobalMaxPool")]
    [DataRow("MaxPool")]
    [DataRow("Pad")]
    [DataRow("Reshape")]
    [DataRow("Resize")]
    [DataRow("Slice")]
    [DataRow("SpaceToDepth")]
    [DataRow("Transpose")]
    public void Movement(string type)
    {
        foreach (bool signed in new[] { false, true })
        {
            int zero = signed ? -3 : 99;
            var g = new QdqGraph(2, 4, 4, 6);
            string x = g.Around(g.Add("Tanh", "x"), 0.01f, zero, signed);
            string moved = type switch
            {
                "Concat" => g.Add(type, AttributeMap.Empty.With("axis", 1), x, x),
                "DepthToSpace" or "SpaceToDepth" => g.Add(type, AttributeMap.Empty.With("blocksize", 2), x),
                "Expand" => g.Add(type, x, g.List(3, 1, 1, 1, 1)),
                "Gather" => g.Add(type, AttributeMap.Empty.With("axis", 2), x, g.List(3, 0, 1)),
                "MaxPool" => g.Add(type, FloatGraph.Ints("kernel_shape", 3, 2), x),
                "Pad" => g.Add(type, x, g.List(0, 0, 1, 2, 0, 0, 0, 1)),
                "Reshape" => g.Add(type, x, g.List(2, 96)),
                "Resize" => g.Add(type, AttributeMap.Empty.With("mode", "nearest"), x, "", g.Float(1, 1, 2, 2)),
                "Slice" => g.Add(type, x, g.List(1), g.List(3), g.List(1)),
                _ => g.Add(type, x),
            };
            var graph = g.Build(g.Around(moved, 0.01f, zero, signed));
            var written = WriteQOperator.Apply(graph);
            Assert.AreEqual(1, written.Nodes.Count(n => n.OpType == "QuantizeLinear"), FloatGraph.Types(written));
            CollectionAssert.AreEqual(QdqGraph.ScoreElsewhere(graph, g.RandomInput()), QdqGraph.ScoreElsewhere(written, g.RandomInput()));
        }
    }

    [TestMethod]
    public void WhatHasNoOperatorStaysBetweenItsQuantizers()
    {
        // Codes of two types.
        var g = new QdqGraph(2, 4, 9);
        string x = g.Around("x", InputScale, 120);
        string h = g.Add("Conv", AttributeMap.Empty, x, Kernel(g, 5, 4, 3), g.Bias(5, InputScale));
        AssertWritten(g, g.Around(h, OutputScale, 7, signed: true), "QuantizeLinear DequantizeLinear DequantizeLinear DequantizeLinear Conv QuantizeLinear DequantizeLinear Mul", sorted: true);
        // A float result.
        g = new QdqGraph(2, 4, 9);
        h = g.Add("Conv", AttributeMap.Empty, g.Around("x", InputScale, 120), Kernel(g, 5, 4, 3), g.Bias(5, InputScale));
        AssertWritten(g, g.Add("Tanh", h), "QuantizeLinear DequantizeLinear DequantizeLinear DequantizeLinear Conv Tanh Mul", sorted: true);
        // A function without a table there.
        g = new QdqGraph(2, 4, 9);
        AssertWritten(g, g.Around(g.Add("Tanh", g.Around("x", InputScale, 120)), OutputScale, 7), "QuantizeLinear DequantizeLinear Tanh QuantizeLinear DequantizeLinear Mul");
    }

    [TestMethod]
    public void DynamicLayersAreIntegerProducts()
    {
        var g = new QdqGraph(2, 3, 4, 6);
        string c = g.Add("Conv", FloatGraph.Ints("pads", 1, 1, 1, 1), "x", Kernel(g, 5, 3, 3, 3), g.Float(1, -2, 3, -4, 0.5f));
        string p = g.Add("MatMul", g.Add("Relu", c), g.Weights(6, 7, 1));
        string rows = g.Add("Flatten", AttributeMap.Empty.With("axis", 3L), g.Add("Relu", p));
        var graph = g.Build(g.Add("Gemm", AttributeMap.Empty.With("transB", 1), rows, g.Weights(4, 7, 0), g.Float(4, 3, 2, 1)));
        graph = graph with { Metadata = graph.Metadata with { Properties = graph.Metadata.Properties.SetItem(PlaceQuantizers.ActivationsProperty, PlaceQuantizers.Dynamic) } };
        var written = WriteQOperator.Apply(graph);
        Assert.AreEqual(
            "DynamicQuantizeLinear ConvInteger Cast Mul Mul Add Relu DynamicQuantizeLinear MatMulInteger Cast Mul Mul Relu Flatten DynamicQuantizeLinear MatMulInteger Cast Mul Mul Add Mul",
            FloatGraph.Types(written));
        // Without quantized activations.
        float[] x = g.RandomInput(), real = QdqGraph.ScoreElsewhere(graph, x);
        foreach (bool optimize in new[] { false, true })
        {
            float[] found = OnnxRuntimeOracle.Score(written, optimize, ("x", x, graph.Inputs[0].Shape!.ToInts()))[0];
            double signal = real.Sum(v => (double)v * v), noise = real.Zip(found, (a, b) => ((double)a - b) * ((double)a - b)).Sum();
            Assert.IsLessThan(signal * 1e-3, noise);
        }
    }

    /// <summary>s8 weights of a convolution behind DequantizeLinear, one scale an output.</summary>
    private static string Kernel(QdqGraph g, params int[] dims)
    {
        var random = new Random(3);
        g.Constant("kernel", Tensor.Create([.. Enumerable.Range(0, dims.Aggregate(1, (a, b) => a * b)).Select(_ => (sbyte)random.Next(-127, 128))], dims));
        g.Constant("kernel_zeros", Tensor.Create(new sbyte[dims[0]], dims[0]));
        return g.Add("DequantizeLinear", AttributeMap.Empty.With("axis", 0), "kernel", g.Float([.. QdqGraph.WeightScales(dims[0])]), "kernel_zeros");
    }

    private static void AssertWritten(QdqGraph g, string output, string types, bool sorted = false)
    {
        var graph = g.Build(output);
        var written = WriteQOperator.Apply(graph);
        string found = FloatGraph.Types(written);
        Assert.AreEqual(sorted ? Sorted(types) : types, sorted ? Sorted(found) : found);
        float[] x = g.RandomInput(), expected = QdqGraph.ScoreElsewhere(graph, x), ours = QdqGraph.Score(LowerQuantized.Apply(graph), x);
        CollectionAssert.AreEqual(ours, QdqGraph.Score(LowerQuantized.Apply(ReadQOperator.Apply(written)), x), "read back");
        foreach (bool optimize in new[] { false, true })
        {
            float[] there = OnnxRuntimeOracle.Score(written, optimize, ("x", x, graph.Inputs[0].Shape!.ToInts()))[0];
            Assert.HasCount(expected.Length, there);
            for (int i = 0; i < there.Length; i++)
            {
                Assert.AreEqual(expected[i], there[i], OneStep + (1e-5 * Math.Abs(expected[i])));
                Assert.AreEqual(ours[i], there[i], OneStep + (1e-5 * Math.Abs(ours[i])));
            }
        }
    }

    private static string Sorted(string types) => string.Join(' ', types.Split(' ').Order(StringComparer.Ordinal));
}
