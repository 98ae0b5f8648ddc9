using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Passes;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests.Passes;

/// <summary>Operators that ONNX Runtime's optimizer makes, held against ONNX Runtime.</summary>
[TestClass]
public sealed class ReadFusedOperatorsTests
{
    private const int Width = 12, Heads = 3, Tokens = 5;

    private static readonly int[] s_dims = [2, Tokens, Width];

    [TestMethod]
    [DataRow("Gelu", 0, 13)]
    [DataRow("BiasGelu", 1, 13)]
    [DataRow("FastGelu", 0, 17)]
    [DataRow("FastGelu", 1, 11)]
    public void GeluInEveryForm(string op, int biases, int opset)
    {
        var g = new FloatGraph(s_dims);
        string[] inputs = ["x", .. Enumerable.Range(0, biases).Select(_ => g.Weights(Width))];
        var prepared = AssertSame(g, opset, op, AttributeMap.Empty, inputs);
        Assert.Contains("Gelu", prepared.Nodes.Select(n => n.OpType));
    }

    [TestMethod]
    [DataRow(1.702f)]
    [DataRow(1f)]
    public void QuickGelu(float alpha) => AssertSame(new FloatGraph(s_dims), 13, "QuickGelu", AttributeMap.Empty.With("alpha", alpha), "x");

    [TestMethod]
    [DataRow(3, 11)]
    [DataRow(4, 13)]
    [DataRow(5, 17)]
    public void ANormalizedSum(int inputs, int opset)
    {
        var g = new FloatGraph(s_dims);
        string[] all = ["x", g.Add("Mul", "x", "x"), .. Enumerable.Range(2, inputs - 2).Select(_ => g.Weights(Width))];
        var prepared = AssertSame(g, opset, "SkipLayerNormalization", AttributeMap.Empty.With("epsilon", 1e-5f), all);
        Assert.Contains("LayerNormalization", prepared.Nodes.Select(n => n.OpType));
    }

    [TestMethod]
    public void TheSumItselfIsAResultToo()
    {
        foreach (int inputs in new[] { 4, 5 })
        {
            var g = new FloatGraph(s_dims);
            string[] all = ["x", g.Add("Mul", "x", "x"), .. Enumerable.Range(2, inputs - 2).Select(_ => g.Weights(Width))];
            var graph = Fused(g, 17, "SkipLayerNormalization", AttributeMap.Empty, all);
            graph = graph with { Nodes = graph.Nodes.SetItem(graph.Nodes.Length - 1, graph.Nodes[^1] with { Outputs = ["y", "", "", "sum"] }), Outputs = [.. graph.Outputs, new("sum", ElementType.Float, null)] };
            AssertSame(graph);
        }
    }

    [TestMethod]
    [DataRow(false, false, false, 0f, 13)]
    [DataRow(true, false, true, 0f, 17)]
    [DataRow(true, true, false, 0f, 13)]
    [DataRow(false, true, true, 0.25f, 12)]
    public void AttentionOfManyHeads(bool biased, bool masked, bool padded, float scale, int opset)
    {
        var g = new FloatGraph(s_dims);
        string Dense() => g.Add("MatMul", "x", g.Between(-0.4f, 0.4f, Width, Width));
        var attributes = AttributeMap.Empty.With("num_heads", (long)Heads);
        if (scale != 0) attributes = attributes.With("scale", scale);
        string[] inputs = [Dense(), Dense(), Dense(), biased ? g.Weights(3 * Width) : "", padded ? g.Constant(Tensor.Create([1, 1, 1, 0, 1, 1, 1, 0, 0, 0], 2, Tokens)) : "", masked ? g.Weights(1, Heads, Tokens, Tokens) : ""];
        var prepared = AssertSame(g, opset, "MultiHeadAttention", attributes, inputs);
        var lowered = LowerQuantized.Apply(QuantizationRecipe.QuantizeDynamic(PreparedModel.Prepare(prepared, new() { SymbolicBatch = false })).Graph);
        Assert.AreEqual(1, lowered.Nodes.Count(n => n.OpType == "FusedAttention"), FloatGraph.Types(lowered));
        Assert.AreEqual(3, lowered.Nodes.Count(n => n.OpType == "DynamicQuantizedLinear"), FloatGraph.Types(lowered));
    }

    [TestMethod]
    [DataRow("packed")]
    [DataRow("mask of keys")]
    [DataRow("past")]
    [DataRow("unidirectional")]
    [DataRow("num_heads")]
    public void WhatIsNotWrittenOutIsNamed(string what)
    {
        var attributes = what == "num_heads" ? AttributeMap.Empty : AttributeMap.Empty.With("num_heads", (long)Heads);
        if (what == "unidirectional") attributes = attributes.With("unidirectional", 1L);
        string[] inputs = what switch { "packed" => ["x"], "mask of keys" => ["x", "x", "x", "", "m"], "past" => ["x", "x", "x", "", "", "", "m", "m"], _ => ["x", "x", "x"] };
        var graph = Fused(new FloatGraph(s_dims), 17, "MultiHeadAttention", attributes, inputs);
        graph = graph with { Initializers = graph.Initializers.Add("m", Tensor.Create(new float[Tokens], Tokens)) };
        var e = Assert.ThrowsExactly<UnsupportedOperatorException>(() => PreparedModel.Prepare(graph));
        StringAssert.Contains(e.Message, "com.microsoft.MultiHeadAttention");
        StringAssert.Contains(e.Message, what);
    }

    private static ModelGraph AssertSame(FloatGraph g, int opset, string op, AttributeMap attributes, params string[] inputs) => AssertSame(Fused(g, opset, op, attributes, inputs));

    private static ModelGraph AssertSame(ModelGraph graph)
    {
        graph = OnnxReader.Read(OnnxWriter.Write(graph));
        var prepared = PreparedModel.Prepare(graph, new() { SymbolicBatch = false }).Graph;
        var random = new Random(8);
        float[] x = [.. Enumerable.Range(0, 2 * Tokens * Width).Select(_ => (random.NextSingle() * 4) - 2)];
        float[][] expected = OnnxRuntimeOracle.Score(graph, false, ("x", x, s_dims));
        using var run = Program.Compile(prepared).Rent(s_dims);
        x.CopyTo(run.Input<float>(0));
        run.Execute();
        for (int o = 0; o < expected.Length; o++) FloatGraph.AssertClose(expected[o], run.Output<float>(o).ToArray(), 1e-5);
        return prepared;
    }

    private static ModelGraph Fused(FloatGraph g, int opset, string op, AttributeMap attributes, params string[] inputs)
    {
        var graph = g.Build(opset, "y");
        return graph with
        {
            Nodes = graph.Nodes.Add(new("fused", op, [.. inputs], ["y"]) { Domain = WriteQOperator.RuntimeDomain, Attributes = attributes }),
            OpsetImports = graph.OpsetImports.SetItem(WriteQOperator.RuntimeDomain, 1),
        };
    }
}
