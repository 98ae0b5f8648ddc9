using System.Collections.Immutable;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Ops.Quantized;
using MLNet.Quantization.Passes;

namespace MLNet.Quantization.Tests.Passes;

[TestClass]
public sealed class FuseAttentionTests
{
    private const int Width = 8;

    private static IEnumerable<object[]> Forms =>
    [
        ["plain", 1, 5, 3, ""], ["scaled", 2, 17, 3, "div"], ["scaled by a factor", 2, 16, 2, "mul"], ["padding masked", 3, 9, 2, "div add[3,1,1,9]"], ["causal", 2, 33, 2, "mul add[33,33]"],
        ["masked and chosen", 2, 7, 2, "keep[7,7] div add[2,1,7,1]"], ["replaced", 2, 7, 2, "div replace[2,1,1,7]"], ["divided by a row", 1, 6, 2, "div[6]"], ["one token", 4, 1, 3, "div"],
        ["many tokens", 1, 401, 1, "div add[401]"], ["many heads", 1, 130, 9, "div"],
    ];

    /// <summary>Queries, keys and values of a dense layer each, heads split off and joined again.</summary>
    private static ModelGraph Attention(int rows, int tokens, int heads, string steps, long[]? keyOrder = null)
    {
        var g = new FloatGraph(rows, tokens, heads * Width);
        string Split(params long[] order) =>
            g.Add("Transpose", FloatGraph.Ints("perm", order), g.Add("Reshape", g.Add("MatMul", "x", g.Between(-0.4f, 0.4f, heads * Width, heads * Width)), g.List(0, 0, heads, Width)));
        string scores = g.Add("MatMul", Split(0, 2, 1, 3), Split(keyOrder ?? [0, 2, 3, 1]));
        foreach (string step in steps.Split(' ', StringSplitOptions.RemoveEmptyEntries)) scores = Step(g, scores, step);
        string context = g.Add("MatMul", g.Add("Softmax", AttributeMap.Empty.With("axis", -1L), scores), Split(0, 2, 1, 3));
        return g.Build(17, g.Add("Reshape", g.Add("Transpose", FloatGraph.Ints("perm", 0, 2, 1, 3), context), g.List(0, 0, heads * Width)));
    }

    private static string Step(FloatGraph g, string scores, string step)
    {
        string[] parts = step.TrimEnd(']').Split('[');
        int[] dims = parts.Length == 1 ? [] : [.. parts[1].Split(',').Select(int.Parse)];
        return parts[0] switch
        {
            "div" => g.Add("Div", scores, g.Between(2, 3, dims)),
            "mul" => g.Add("Mul", g.Between(0.3f, 0.5f, dims), scores),
            "add" => g.Add("Add", scores, g.Between(-3, 0, dims)),
            "keep" => g.Add("Where", Condition(g, dims), scores, g.Scalar(-1e4f)),
            _ => g.Add("Where", Condition(g, dims), g.Scalar(float.NegativeInfinity), scores),
        };
    }

    private static string Condition(FloatGraph g, int[] dims) =>
        g.Constant(Tensor.Create([.. Enumerable.Range(0, dims.Aggregate(1, (a, b) => a * b)).Select(i => i % 3 == 0)], dims));

    [TestMethod]
    [DynamicData(nameof(Forms))]
    public void GivesTheBitsOfTheOperatorsThatItStandsFor(string what, int rows, int tokens, int heads, string steps) => AssertFuses(Attention(rows, tokens, heads, steps), what);

    /// <summary>Which fits where a head has as many units as there are tokens.</summary>
    [TestMethod]
    public void KeysThatLieInRowsAreTakenAsTheyAre() => AssertFuses(Attention(2, Width, 3, "div", [0, 2, 1, 3]), "square");

    [TestMethod]
    public void QueriesNeedNotBeAsManyAsKeysNorHaveHeads()
    {
        var g = new FloatGraph(12, 10);
        string Part(long first, long last, long from, long to) => g.Add("Slice", "x", g.List(first, from), g.List(last, to), g.List(0, 1));
        string q = Part(0, 3, 0, 4), k = g.Add("Transpose", FloatGraph.Ints("perm", 1, 0), Part(0, 12, 4, 8)), v = Part(0, 12, 7, 10);
        AssertFuses(g.Build(17, g.Add("MatMul", g.Add("Softmax", g.Add("Mul", g.Add("MatMul", q, k), g.Scalar(0.5f))), v)), "two axes");
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(3)]
    public void NoKeysGiveZeros(int queries)
    {
        var g = new FloatGraph(5, 10);
        string Part(long rows, long from, long to) => g.Add("Slice", "x", g.List(0, from), g.List(rows, to), g.List(0, 1));
        string weights = g.Add("Softmax", g.Add("Div", g.Add("MatMul", Part(queries, 0, 4), g.Add("Transpose", FloatGraph.Ints("perm", 1, 0), Part(0, 4, 8))), g.Scalar(2)));
        var graph = g.Build(17, g.Add("MatMul", weights, Part(0, 7, 10)));
        AssertFuses(graph, "no keys");
        float[] found = Score(FuseAttention.Apply(graph), 1);
        Assert.HasCount(3 * queries, found);
        Assert.IsFalse(found.Any(v => v != 0));
    }

    /// <summary>Rows and tokens that only a run knows, with the mask an input.</summary>
    [TestMethod]
    public void AnyNumberOfTokens()
    {
        var graph = Attention(2, 5, 3, "div add[2,1,1,5]");
        string mask = graph.Nodes.Single(n => n.OpType == "Add").Inputs[1];
        Dimension rows = new("N"), tokens = new("T");
        graph = graph with
        {
            Inputs = [graph.Inputs[0] with { Shape = new(rows, tokens, 3 * Width) }, new(mask, ElementType.Float, new(rows, 1, 1, tokens))],
            Initializers = graph.Initializers.Remove(mask),
        };
        var fused = FuseAttention.Apply(graph);
        Assert.AreEqual(1, fused.Nodes.Count(n => n.OpType == nameof(FusedAttention)), FloatGraph.Types(fused));
        foreach (int length in new[] { 1, 4, 30 })
        {
            float[][] scores = [.. new[] { graph, fused }.Select(g =>
            {
                using var run = Program.Compile(g).Rent([3, length, 3 * Width], [3, 1, 1, length]);
                var random = new Random(length);
                for (int i = 0; i < 2; i++)
                    foreach (ref float x in run.Input<float>(i)) x = (random.NextSingle() * 4) - 2;
                run.Execute();
                return run.Output<float>(0).ToArray();
            })];
            CollectionAssert.AreEqual(scores[0], scores[1]);
        }
    }

    /// <summary>Rotary embeddings turn queries and keys before the product: what comes after is the same.</summary>
    [TestMethod]
    public void RotatedQueriesAndKeys()
    {
        var g = new FloatGraph(2, 6, 2 * Width);
        string Rotated(params long[] order)
        {
            string x = g.Add("Reshape", g.Add("MatMul", "x", g.Between(-0.4f, 0.4f, 2 * Width, 2 * Width)), g.List(0, 0, 2, Width));
            string half = g.Add("Slice", x, g.List(0), g.List(Width / 2), g.List(3)), other = g.Add("Slice", x, g.List(Width / 2), g.List(Width), g.List(3));
            string turned = g.Add("Concat", AttributeMap.Empty.With("axis", 3L), g.Add("Neg", other), half);
            string sum = g.Add("Add", g.Add("Mul", x, g.Weights(6, 1, Width)), g.Add("Mul", turned, g.Weights(6, 1, Width)));
            return order.Length == 0 ? sum : g.Add("Transpose", FloatGraph.Ints("perm", order), sum);
        }
        string weights = g.Add("Softmax", g.Add("Div", g.Add("MatMul", Rotated(0, 2, 1, 3), Rotated(0, 2, 3, 1)), g.Scalar(2.8f)));
        AssertFuses(g.Build(17, g.Add("Transpose", FloatGraph.Ints("perm", 0, 2, 1, 3), g.Add("MatMul", weights, Rotated(0, 2, 1, 3)))), "rotary");
    }

    [TestMethod]
    [DataRow("Dynamic", "Dynamic")]
    [DataRow("Static", "Static")]
    [DataRow("Float", "Dynamic")]
    [DataRow("Static", "Float")]
    public void ProductsInInt8AreTakenInToo(string scores, string context)
    {
        foreach (var (rows, tokens, heads) in new[] { (2, 9, 3), (1, 200, 2) })
        {
            var graph = Attention(rows, tokens, heads, "div");
            int product = 0;
            var nodes = graph.Nodes.Select(n =>
            {
                if (ActivationProduct.Match(n, graph) is null) return n;
                var kind = Enum.Parse<PairKind>(product++ == 0 ? scores : context);
                if (kind == PairKind.Float) return n;
                var attributes = kind == PairKind.Dynamic ? AttributeMap.Empty.With(PairForm.KindAttribute, (long)kind)
                    : product == 1 ? PairForm.Static(AttributeMap.Empty, new(0.03f, 121), new(0.04f, 140)) : PairForm.Static(AttributeMap.Empty, new(1 / 255f, 0), new(0.03f, 133));
                return n with { OpType = nameof(QuantizedMatMul), Domain = OperatorSet.EngineDomain, Attributes = attributes };
            }).ToImmutableArray();
            AssertFuses(graph with { Nodes = nodes }, $"{scores}, {context}");
        }
    }

    [TestMethod]
    public void WhatNearlyMatchesStays()
    {
        AssertStays(g => Join(g, g.Add("Softmax", AttributeMap.Empty.With("axis", 1L), Scores(g))), "another axis");
        AssertStays(g => Join(g, g.Add("Softmax", g.Add("Add", Scores(g), g.Weights(3, 2, 4, 4)))), "a mask that makes more of them");
        AssertStays(g => Join(g, g.Add("Softmax", g.Add("Relu", Scores(g)))), "another function");
        AssertStays(g => g.Add("MatMul", Values(g), g.Add("Softmax", Scores(g))), "the weights are the right factor");
        AssertStays(g =>
        {
            string scores = Scores(g);
            return g.Add("Add", Join(g, g.Add("Softmax", scores)), scores);
        }, "scores that are read again");
        AssertStays(g =>
        {
            string weights = g.Add("Softmax", Scores(g));
            return g.Add("Add", Join(g, weights), weights);
        }, "weights that are read again");
        AssertStays(g => g.Add("MatMul", g.Add("Softmax", Scores(g)), g.Add("ReduceSum", AttributeMap.Empty.With("keepdims", 1), Values(g), g.List(1))), "a stack that broadcasts");
        AssertStays(g => g.Add("MatMul", g.Add("Softmax", g.Add("MatMul", Values(g), g.Weights(1, 2, 4, 4))), Values(g)), "keys that are weights");

        static string Values(FloatGraph g) => g.Add("Neg", "x");

        static string Scores(FloatGraph g) => g.Add("MatMul", "x", g.Add("Abs", "x"));

        static string Join(FloatGraph g, string weights) => g.Add("MatMul", weights, Values(g));

        static void AssertStays(Func<FloatGraph, string> build, string why)
        {
            var g = new FloatGraph(1, 2, 4, 4);
            var graph = g.Build(17, build(g));
            Assert.AreSame(graph, FuseAttention.Apply(graph), why);
        }
    }

    [TestMethod]
    public void AnOlderSoftmaxRunsOverSeveralAxesAndStays()
    {
        var g = new FloatGraph(2, 4, 4);
        var graph = g.Build(12, g.Add("MatMul", g.Add("Softmax", AttributeMap.Empty.With("axis", 2L), g.Add("MatMul", "x", g.Add("Abs", "x"))), g.Add("Neg", "x")));
        Assert.AreSame(graph, FuseAttention.Apply(graph));
    }

    /// <summary>The operator is there, nothing that it takes in is, and all threads give the bits of the graph before.</summary>
    private static void AssertFuses(ModelGraph graph, string what)
    {
        var fused = FuseAttention.Apply(graph);
        Assert.AreEqual(1, fused.Nodes.Count(n => n.OpType == nameof(FusedAttention)), what);
        Assert.IsFalse(fused.Nodes.Any(n => n.OpType is "Softmax" or "Where" or "QuantizedMatMul" || n.OpType == "Transpose" && !fused.Outputs.Any(o => o.Name == n.Outputs[0])), $"{what}: {FloatGraph.Types(fused)}");
        float[] expected = Score(graph, 1);
        foreach (int threads in new[] { 1, 2 })
        {
            float[] found = Score(fused, threads);
            Assert.HasCount(expected.Length, found);
            for (int i = 0; i < found.Length; i++)
                Assert.AreEqual(BitConverter.SingleToInt32Bits(expected[i]), BitConverter.SingleToInt32Bits(found[i]), $"{what}, {threads} threads, element {i}: {found[i]}, expected {expected[i]}");
        }
    }

    private static float[] Score(ModelGraph graph, int threads)
    {
        int[] dims = graph.Inputs[0].Shape!.ToInts();
        var random = new Random(6);
        using var run = Program.Compile(graph, new() { MaxThreads = threads }).Rent(dims);
        foreach (ref float x in run.Input<float>(0)) x = (random.NextSingle() * 4) - 2;
        run.Execute();
        return run.Output<float>(0).ToArray();
    }
}
