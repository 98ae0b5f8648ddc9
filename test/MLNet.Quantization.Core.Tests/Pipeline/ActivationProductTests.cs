using System.Collections.Immutable;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Ops.Quantized;
using MLNet.Quantization.Passes;
using MLNet.Quantization.Pipeline;
using MLNet.Quantization.Tests.Ops;
using MLNet.Quantization.Tests.Passes;

namespace MLNet.Quantization.Tests.Pipeline;

/// <summary>Products of two activations in INT8, on request.</summary>
[TestClass]
public sealed class ActivationProductTests
{
    private const int Tokens = 13, Width = 24, Heads = 3;

    private static readonly WeightOptions s_asked = new() { ActivationProducts = true };

    public required TestContext TestContext { get; set; }

    /// <summary>Self-attention between dense layers.</summary>
    private static ModelGraph Attention(int rows = 2)
    {
        var g = new FloatGraph(rows, Tokens, Width);
        string Dense(string x) => g.Add("MatMul", x, g.Between(-0.4f, 0.4f, Width, Width));
        string Split(string x, params long[] order) => g.Add("Transpose", FloatGraph.Ints("perm", order), g.Add("Reshape", x, g.List(0, 0, Heads, Width / Heads)));
        string q = Split(Dense("x"), 0, 2, 1, 3), k = Split(Dense("x"), 0, 2, 3, 1), v = Split(Dense("x"), 0, 2, 1, 3);
        string weights = g.Add("Softmax", AttributeMap.Empty.With("axis", -1L), g.Add("Div", g.Add("MatMul", q, k), g.Scalar(MathF.Sqrt(Width / Heads))));
        string context = g.Add("Transpose", FloatGraph.Ints("perm", 0, 2, 1, 3), g.Add("MatMul", weights, v));
        return g.Build(17, Dense(g.Add("Reshape", context, g.List(0, 0, Width))));
    }

    private static QuantizedModel Static(PreparedModel model, WeightOptions options)
    {
        var session = new CalibrationSession(model, CalibrationOptions.Default);
        for (int i = 0; i < 4; i++)
        {
            using var run = session.Program.Rent([model.Graph.Inputs[0].Shape!.Select((d, axis) => d.IsKnown ? (int)d.Value : 2).ToArray()]);
            Values(i, run.Input<float>(0).Length).CopyTo(run.Input<float>(0));
            session.Observe(run, i);
        }
        return QuantizationRecipe.QuantizeStatic(model, session.Finish(), options);
    }

    private static float[] Values(int seed, int count)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 4) - 2)];
    }

    /// <summary>Those that run in INT8, alone or within attention.</summary>
    private static int Products(ModelGraph graph) =>
        LowerQuantized.Apply(graph).Nodes.Where(n => n.OpType is "QuantizedMatMul" or "FusedAttention").Sum(n => n.Attributes.Count(a => a.Key.EndsWith(PairForm.KindAttribute, StringComparison.Ordinal)));

    [TestMethod]
    public void NothingChangesUnlessAskedFor()
    {
        var model = PreparedModel.Prepare(Attention());
        foreach (var quantized in new[] { Static(model, WeightOptions.Default), QuantizationRecipe.QuantizeDynamic(model) })
        {
            Assert.AreEqual(0, Products(quantized.Graph));
            var products = quantized.Report.Layers.Where(l => !l.IsInt8).ToList();
            Assert.HasCount(2, products);
            foreach (var layer in products) StringAssert.Contains(layer.Reason, "ActivationProducts");
        }
    }

    [TestMethod]
    public void StaticProductsAreInTheFileAsOtherToolsReadThem()
    {
        var model = PreparedModel.Prepare(Attention());
        var quantized = Static(model, s_asked);
        Assert.IsTrue(quantized.Report.Layers.All(l => l.IsInt8), quantized.Report.ToString());
        Assert.AreEqual(2, Products(quantized.Graph));
        float[] x = Values(9, 2 * Tokens * Width);
        int[] dims = [2, Tokens, Width];
        float[] real = OnnxRuntimeOracle.Score(model.Graph, false, ("x", x, dims))[0], found = Score(quantized.Compile(), x, dims);
        Assert.IsGreaterThan(26, SharedRows.SignalToNoise(real, found));
        Assert.IsGreaterThan(44, SharedRows.SignalToNoise(OnnxRuntimeOracle.Score(quantized.Graph, false, ("x", x, dims))[0], found), "ONNX Runtime, node by node");
        Assert.IsGreaterThan(36, SharedRows.SignalToNoise(OnnxRuntimeOracle.Score(quantized.Graph, true, ("x", x, dims))[0], found), "ONNX Runtime, fused");
        var loaded = QuantizedModel.FromGraph(OnnxReader.Read(OnnxWriter.Write(quantized.Graph)));
        Assert.AreEqual(2, loaded.Report.Layers.Count(l => l is { IsInt8: true, Reason: ActivationProduct.Note, InputScale: not null }), loaded.Report.ToString());
        CollectionAssert.AreEqual(found, Score(loaded.Compile(), x, dims));
        var written = WriteQOperator.Apply(quantized.Graph);
        Assert.IsFalse(written.Nodes.Any(n => n.OpType == "MatMul"), FloatGraph.Types(written));
        var read = PreparedModel.Prepare(OnnxReader.Read(OnnxWriter.Write(written)));
        CollectionAssert.AreEqual(found, Score(QuantizedModel.FromGraph(read.Graph).Compile(), x, dims), "read back");
        Assert.IsGreaterThan(36, SharedRows.SignalToNoise(OnnxRuntimeOracle.Score(written, false, ("x", x, dims))[0], found), "ONNX Runtime on the file in QOperator form");
    }

    [TestMethod]
    public void DynamicProductsAreKeptByTheFile()
    {
        var model = PreparedModel.Prepare(Attention());
        var quantized = QuantizationRecipe.QuantizeDynamic(model, s_asked);
        Assert.IsTrue(quantized.Report.Layers.All(l => l.IsInt8), quantized.Report.ToString());
        Assert.AreEqual(2, Products(quantized.Graph));
        float[] x = Values(9, 2 * Tokens * Width);
        int[] dims = [2, Tokens, Width];
        float[] found = Score(quantized.Compile(), x, dims);
        Assert.IsGreaterThan(32, SharedRows.SignalToNoise(OnnxRuntimeOracle.Score(model.Graph, false, ("x", x, dims))[0], found));
        Assert.IsFalse(found.AsSpan().SequenceEqual(Score(QuantizationRecipe.QuantizeDynamic(model).Compile(), x, dims)), "the products are computed otherwise");
        var loaded = QuantizedModel.FromGraph(OnnxReader.Read(OnnxWriter.Write(quantized.Graph)));
        Assert.IsTrue(loaded.Report.Layers.All(l => l.IsInt8), loaded.Report.ToString());
        CollectionAssert.AreEqual(found, Score(loaded.Compile(), x, dims));
    }

    [TestMethod]
    public void ExcludedProductsStayFloat()
    {
        var model = PreparedModel.Prepare(Attention());
        string first = model.Graph.Nodes.First(n => ActivationProduct.Match(n, model.Graph) is not null).DisplayName;
        var options = s_asked with { ExcludedNodes = [first] };
        foreach (var quantized in new[] { Static(model, options), QuantizationRecipe.QuantizeDynamic(model, options) })
        {
            Assert.AreEqual(1, Products(quantized.Graph));
            Assert.AreEqual("excluded", quantized.Report.Layers.Single(l => !l.IsInt8).Reason);
        }
    }

    /// <summary>A score is a matter of its row and column alone: tokens that are added change those of none that were there.</summary>
    [TestMethod]
    public void DynamicScoresOfTokensDoNotDependOnOthers()
    {
        var random = new Random(4);
        Tensor q = OneNode.Floats(random, 1, 2, 9, 8), k = OneNode.Floats(random, 1, 2, 8, 9);
        float[] all = Multiply(q.Span<float>().ToArray(), [1, 2, 9, 8], k.Span<float>().ToArray(), [1, 2, 8, 9]);
        float[] fewer = [.. Enumerable.Range(0, 16).SelectMany(row => k.Span<float>().Slice(row * 9, 5).ToArray())];
        float[] some = Multiply(q.Span<float>().ToArray(), [1, 2, 9, 8], fewer, [1, 2, 8, 5]);
        for (int row = 0; row < 18; row++)
            for (int j = 0; j < 5; j++) Assert.AreEqual(all[(row * 9) + j], some[(row * 5) + j]);

        static float[] Multiply(float[] a, int[] aDims, float[] b, int[] bDims)
        {
            var graph = Marked(aDims, bDims);
            using var run = QuantizedModel.FromGraph(graph).Compile().Rent(aDims, bDims);
            a.CopyTo(run.Input<float>(0));
            b.CopyTo(run.Input<float>(1));
            run.Execute();
            return run.Output<float>(0).ToArray();
        }
    }

    /// <summary>Stacks that broadcast, single rows and columns, extents of 0: the shapes and nearly the numbers of the float product.</summary>
    [TestMethod]
    [DataRow(new[] { 2, 3, 5, 8 }, new[] { 8, 4 })]
    [DataRow(new[] { 5, 8 }, new[] { 3, 8, 4 })]
    [DataRow(new[] { 2, 1, 5, 8 }, new[] { 3, 8, 4 })]
    [DataRow(new[] { 8 }, new[] { 3, 8, 4 })]
    [DataRow(new[] { 3, 5, 8 }, new[] { 8 })]
    [DataRow(new[] { 3, 0, 8 }, new[] { 3, 8, 2 })]
    [DataRow(new[] { 3, 5, 0 }, new[] { 3, 0, 2 })]
    [DataRow(new[] { 1, 300, 40 }, new[] { 1, 40, 70 })]
    public void EveryShapeOfMatMul(int[] a, int[] b)
    {
        var graph = Marked(a, b);
        var random = new Random(5);
        float[] x = OneNode.Floats(random, a).Span<float>().ToArray(), y = OneNode.Floats(random, b).Span<float>().ToArray();
        var results = new[] { Program.Compile(graph), QuantizedModel.FromGraph(graph).Compile(), QuantizedModel.FromGraph(graph).Compile(new() { MaxThreads = 1 }) }.Select(program =>
        {
            using var run = program.Rent(a, b);
            x.CopyTo(run.Input<float>(0));
            y.CopyTo(run.Input<float>(1));
            run.Execute();
            return (Shape: run.OutputShape(0), Values: run.Output<float>(0).ToArray());
        }).ToArray();
        CollectionAssert.AreEqual(results[0].Shape, results[1].Shape);
        CollectionAssert.AreEqual(results[1].Values, results[2].Values);
        if (results[0].Values.Any(v => v != 0)) Assert.IsGreaterThan(34, SharedRows.SignalToNoise(results[0].Values, results[1].Values));
        else CollectionAssert.AreEqual(results[0].Values, results[1].Values);
    }

    private static ModelGraph Marked(int[] a, int[] b)
    {
        var graph = new ModelGraph
        {
            Name = "g",
            Inputs = [new("a", ElementType.Float, TensorShape.FromDims(a)), new("b", ElementType.Float, TensorShape.FromDims(b))],
            Outputs = [new("y", ElementType.Float, null)],
            Nodes = [Node.Create("product", "MatMul", ["a", "b"], ["y"])],
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
        };
        return ActivationProduct.Mark(graph, [new(graph.Nodes[0])]);
    }

    /// <summary>Quantizers of other tools, s8 and u8 with any zero points.</summary>
    [TestMethod]
    [DataRow(false, false)]
    [DataRow(true, false)]
    [DataRow(false, true)]
    [DataRow(true, true)]
    public void QuantizersOfOtherToolsAreReadAsInt8(bool leftSigned, bool rightSigned)
    {
        var g = new QdqGraph(2, 9, 7);
        string left = g.Around("x", 0.021f, leftSigned ? 5 : 141, leftSigned), right = g.Around(g.Add("Transpose", FloatGraph.Ints("perm", 0, 2, 1), "x"), 0.018f, rightSigned ? -11 : 99, rightSigned);
        var graph = g.Build(g.Add("MatMul", left, right));
        Assert.AreEqual(1, Products(graph));
        float[] x = g.RandomInput(), found = QdqGraph.Score(LowerQuantized.Apply(graph), x), expected = QdqGraph.ScoreElsewhere(graph, x);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], found[i], 1e-5 * Math.Max(1, Math.Abs(expected[i])));
        Assert.IsTrue(QuantizedModel.FromGraph(graph).Report.Layers.Single().IsInt8);
    }

    /// <summary>Dynamic products longer than int32 allows are computed in float, static ones are refused by name.</summary>
    [TestMethod]
    public void SumsBeyondInt32()
    {
        const int Long = 65794, TooLong = 33026;
        var marked = Marked([1, Long], [Long, 2]);
        Assert.AreEqual(1, Products(marked));
        float[] x = Values(1, Long), y = Values(2, 2 * Long);
        float[][] results = [.. new[] { Program.Compile(marked), QuantizedModel.FromGraph(marked).Compile() }.Select(program =>
        {
            using var run = program.Rent([1, Long], [Long, 2]);
            x.CopyTo(run.Input<float>(0));
            y.CopyTo(run.Input<float>(1));
            run.Execute();
            return run.Output<float>(0).ToArray();
        })];
        CollectionAssert.AreEqual(results[0], results[1]);

        var g = new QdqGraph(1, TooLong);
        var graph = g.Build(g.Add("MatMul", g.Around("x", 0.02f, 128), g.Around(g.Add("Transpose", FloatGraph.Ints("perm", 1, 0), "x"), 0.02f, 100)));
        var e = Assert.ThrowsExactly<UnsupportedOperatorException>(() => QdqGraph.Score(LowerQuantized.Apply(graph), g.RandomInput()));
        StringAssert.Contains(e.Message, "33026");
        StringAssert.Contains(e.NodeName, "MatMul");
    }

    [TestMethod]
    public void ScoreHash()
    {
        var model = PreparedModel.Prepare(Attention(1));
        float[] values = Values(7, 65 * Tokens * Width);
        foreach (var (name, quantized) in new[] { ("attention", QuantizationRecipe.QuantizeDynamic(model)), ("attention, products static", Static(model, s_asked)), ("attention, products dynamic", QuantizationRecipe.QuantizeDynamic(model, s_asked)) })
            ScoreHashTests.HashOfAllForms(name, quantized.Compile, (program, first, count) => Score(program, values[(first * Tokens * Width)..((first + count) * Tokens * Width)], [count, Tokens, Width]), 65, [1, 7, 64]);
    }

    /// <summary>What the products in INT8 cost the vision transformer.</summary>
    [TestMethod]
    public void PicturesKeepTheirAccuracy()
    {
        const string Name = "vit_ibp_3_3_8_cifar10";
        var rows = SharedRows.NormalizedCifar(Name, "test_batch.bin.gz");
        float[] real = rows.Score(Program.Compile(rows.Model.Graph));
        var static8 = QuantizationRecipe.QuantizeStatic(rows.Model, SharedRows.NormalizedCifar(Name, "calibration_batch.bin.gz").Calibrate(..500), s_asked);
        TestContext.WriteLine(static8.Report.ToString());
        foreach (var (kind, quantized) in new[] { ("dynamic", QuantizationRecipe.QuantizeDynamic(rows.Model, s_asked)), ("static", static8) })
        {
            Assert.AreEqual(6, Products(quantized.Graph), kind);
            float[] scores = rows.Score(quantized.Compile());
            TestContext.WriteLine($"{Name}, products in INT8, {kind}: {rows.Compare(real, scores)}");
            Assert.AreEqual(61.57, rows.Accuracy(scores), 0.5, kind);
        }
    }

    private static float[] Score(Program program, float[] x, int[] dims)
    {
        using var run = program.Rent(dims);
        x.CopyTo(run.Input<float>(0));
        run.Execute();
        return run.Output<float>(0).ToArray();
    }
}
