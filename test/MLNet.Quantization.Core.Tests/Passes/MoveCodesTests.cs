using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Passes;

namespace MLNet.Quantization.Tests.Passes;

[TestClass]
public class MoveCodesTests
{
    private const float Scale = 0.0173f;

    [TestMethod]
    [DataRow("Reshape")]
    [DataRow("Flatten")]
    [DataRow("Transpose")]
    [DataRow("Squeeze")]
    [DataRow("Unsqueeze")]
    [DataRow("Slice")]
    [DataRow("Gather")]
    [DataRow("Concat")]
    [DataRow("Identity")]
    [DataRow("Pad")]
    [DataRow("Pad by reflection")]
    [DataRow("Resize")]
    public void CodesFlowThrough(string movement)
    {
        foreach (bool signed in new[] { false, true })
        {
            var g = new QdqGraph(2, 3, 1, 4);
            string x = g.Around(g.Add("Tanh", "x"), Scale, signed ? -3 : 99, signed);
            string moved = Move(g, movement, x);
            var graph = g.Build(g.Around(moved, Scale, signed ? -3 : 99, signed));
            var lowered = AssertSameBits(graph, g.RandomInput());
            Assert.AreEqual(1, Count(lowered, "QuantizeLinear"));
            Assert.AreEqual(1, Count(lowered, "DequantizeLinear"));
        }
    }

    [TestMethod]
    public void APoolThatTellsThePlacesOfItsMaximaReadsCodes()
    {
        foreach (string output in new[] { "y", "places" })
        {
            var g = new QdqGraph(1, 2, 6, 6);
            string x = g.Around(g.Add("Tanh", "x"), 0.1f, 99);
            var pool = Node.Create("pool", "MaxPool", [x], ["pooled", "places"]) with { Attributes = AttributeMap.Empty.With("kernel_shape", ImmutableArray.Create(2L, 2L)) };
            string end = output == "y" ? g.Around("pooled", 0.1f, 99) : g.Add("Cast", AttributeMap.Empty.With("to", 1L), "places");
            var graph = g.Build(end);
            graph = graph with { Nodes = [.. graph.Nodes.TakeWhile(n => !n.Inputs.Any(pool.Outputs.Contains)), pool, .. graph.Nodes.SkipWhile(n => !n.Inputs.Any(pool.Outputs.Contains))] };
            var lowered = AssertSameBits(graph, g.RandomInput());
            Assert.AreEqual("QuantizeLinear", lowered.Producers()[lowered.Nodes.Single(n => n.OpType == "MaxPool").Inputs[0]].OpType);
        }
    }

    [TestMethod]
    public void AQuantizerGoesUpToWhatMakesTheValue()
    {
        var g = new QdqGraph(2, 3, 1, 4);
        string moved = Move(g, "Transpose", Move(g, "Reshape", g.Add("Sigmoid", "x")));
        var lowered = AssertSameBits(g.Build(g.Around(moved, Scale, 5)), g.RandomInput());
        Assert.AreEqual("Sigmoid", lowered.Producers()[lowered.Nodes.Single(n => n.OpType == "QuantizeLinear").Inputs[0]].OpType);
    }

    [TestMethod]
    public void OtherParametersOrReadersKeepTheirQuantizers()
    {
        var g = new QdqGraph(2, 3, 1, 4);
        string x = g.Around(g.Add("Tanh", "x"), Scale, 99);
        string moved = Move(g, "Reshape", x);
        var lowered = AssertSameBits(g.Build(g.Around(moved, 2 * Scale, 99)), g.RandomInput());
        Assert.AreEqual(2, Count(lowered, "QuantizeLinear"));

        g = new QdqGraph(2, 3, 1, 4);
        x = g.Around(g.Add("Tanh", "x"), Scale, 99);
        moved = Move(g, "Reshape", x);
        AssertSameBits(g.Build(g.Add("Add", g.Around(moved, Scale, 99), moved)), g.RandomInput());
    }

    [TestMethod]
    public void WhatPadAddsIsACodeWhereItIsQuantizedAndStaysAFloatWhereNoCodeIsItsValue()
    {
        foreach (bool signed in new[] { false, true })
            foreach (float fill in new[] { 0.3f, 400, float.NegativeInfinity, float.NaN })
            {
                var g = new QdqGraph(2, 3, 1, 4);
                string padded = g.Add("Pad", g.Add("Tanh", "x"), g.List(0, 1, 0, 1, 0, 0, 1, 1), g.Float(fill));
                var lowered = AssertSameBits(g.Build(g.Around(padded, Scale, signed ? -3 : 99, signed)), g.RandomInput());
                Assert.AreEqual("QuantizeLinear", lowered.Producers()[lowered.Nodes.Single(n => n.OpType == "Pad").Inputs[0]].OpType);

                g = new QdqGraph(2, 3, 1, 4);
                padded = g.Add("Pad", g.Around(g.Add("Tanh", "x"), Scale, signed ? -3 : 99, signed), g.List(0, 1, 0, 1, 0, 0, 1, 1), g.Float(fill));
                lowered = AssertSameBits(g.Build(padded), g.RandomInput());
                Assert.AreEqual("DequantizeLinear", lowered.Producers()[lowered.Nodes.Single(n => n.OpType == "Pad").Inputs[0]].OpType);
            }
    }

    [TestMethod]
    public void ConcatOfDifferentScalesIsQuantizedAnew()
    {
        var g = new QdqGraph(2, 3, 1, 4);
        string a = g.Around(g.Add("Tanh", "x"), Scale, 99), b = g.Around(g.Add("Sigmoid", "x"), 2 * Scale, 7);
        var graph = g.Build(g.Around(g.Add("Concat", AttributeMap.Empty.With("axis", 1), a, b), Scale, 99));
        AssertSameBits(graph, g.RandomInput());
    }

    [TestMethod]
    public void TwinsMerge()
    {
        var g = new QdqGraph(2, 3, 1, 4);
        string x = g.Add("Tanh", "x");
        var lowered = AssertSameBits(g.Build(g.Add("Add", g.Around(x, Scale, 99), g.Add("Mul", g.Around(x, Scale, 99), g.Around(x, Scale, 98)))), g.RandomInput());
        Assert.AreEqual(2, Count(lowered, "QuantizeLinear"));
        Assert.AreEqual(2, Count(lowered, "DequantizeLinear"));
    }

    [TestMethod]
    public void ADenormalScaleIsNotCancelled()
    {
        const float tiny = 1e-41f;
        var g = new QdqGraph(4);
        g.Constant("big", Tensor.Scalar(1e-40f));
        string x = g.Add("Mul", "x", "big");
        var graph = g.Build(g.Around(g.Around(x, tiny, 3), tiny, 3));
        Assert.AreEqual(2, Count(MoveCodes.Apply(graph), "QuantizeLinear"));
    }

    [TestMethod]
    public void TransposedWeightsKeepTheirChannels()
    {
        var g = new QdqGraph(5, 6);
        string weights = g.Add("Transpose", AttributeMap.Empty.With("perm", ImmutableArray.Create(1L, 0L)), g.Weights(3, 6, 0));
        var graph = g.Build(g.Add("MatMul", g.Around("x", Scale, 99), weights));
        float[] x = g.RandomInput();
        var moved = FoldConstants.Apply(MoveCodes.Apply(graph));
        CollectionAssert.AreEqual(QdqGraph.Score(graph, x), QdqGraph.Score(moved, x));
        Assert.AreEqual(1, Count(LowerQuantized.Apply(graph), "QuantizedLinear"));
    }

    [TestMethod]
    public void RandomGraphsKeepTheirBits()
    {
        int before = 0, after = 0;
        for (int seed = 0; seed < 150; seed++)
        {
            var random = new Random(seed);
            var g = new QdqGraph(2, 3, 1, 4);
            var values = new List<string> { "x" };
            for (int i = 0; i < 14; i++) values.Add(Grow(g, random, values[random.Next(Math.Max(0, values.Count - 4), values.Count)], values[random.Next(values.Count)]));
            var graph = g.Build(values.Aggregate((a, b) => g.Add("Add", a, b)));
            var lowered = AssertSameBits(graph, g.RandomInput());
            before += Count(graph, "QuantizeLinear");
            after += Count(lowered, "QuantizeLinear");
        }
        Assert.IsLessThan(0.9 * before, after);
    }

    /// <summary>Another value of the same shape.</summary>
    private static string Grow(QdqGraph g, Random random, string x, string other)
    {
        string Back(string moved) => g.Add("Reshape", moved, g.List(2, 3, 1, 4));
        string Part(string of, long from, long to) => g.Add("Slice", of, g.List(from), g.List(to), g.List(1));
        bool signed = random.Next(2) == 0;
        return random.Next(10) switch
        {
            0 => Back(g.Add("Transpose", x)),
            1 => g.Add("Identity", x),
            2 => Back(g.Add("Flatten", x)),
            3 => g.Add("Concat", AttributeMap.Empty.With("axis", 1), Part(x, 0, 1), Part(other, 1, 3)),
            4 => g.Add(random.Next(2) == 0 ? "Tanh" : "Relu", x),
            5 => g.Add("Mul", x, g.Float(0.7f)),
            6 => g.Around(Back(g.Add("Transpose", g.Around(x, Scale, 40))), Scale, 40),
            _ => g.Around(x, random.Next(3) == 0 ? 2 * Scale : Scale, signed ? -3 : 40, signed),
        };
    }

    private static string Move(QdqGraph g, string movement, string x) => movement switch
    {
        "Reshape" => g.Add("Reshape", x, g.List(3, -1)),
        "Flatten" => g.Add("Flatten", x),
        "Transpose" => g.Add("Transpose", x),
        "Squeeze" => g.Add("Squeeze", x, g.List(2)),
        "Unsqueeze" => g.Add("Unsqueeze", x, g.List(0)),
        "Slice" => g.Add("Slice", x, g.List(1), g.List(3), g.List(1)),
        "Gather" => g.Add("Gather", AttributeMap.Empty.With("axis", 1), x, g.List(2, 0, 2)),
        "Concat" => g.Add("Concat", AttributeMap.Empty.With("axis", 1), x, x),
        "Pad" => g.Add("Pad", x, g.List(0, 2, 0, 1, 0, -1, 0, 1)),
        "Pad by reflection" => g.Add("Pad", AttributeMap.Empty.With("mode", "reflect"), x, g.List(0, 2, 0, 1, 0, -1, 0, 1), g.Float(7)),
        "Resize" => g.Add("Resize", x, "", "", g.List(2, 5, 2, 4)),
        _ => g.Add(movement, x),
    };

    private static int Count(ModelGraph graph, string opType) => graph.Nodes.Count(n => n.OpType == opType);

    private static ModelGraph AssertSameBits(ModelGraph graph, float[] x)
    {
        var moved = MoveCodes.Apply(graph);
        float[] expected = QdqGraph.Score(graph, x);
        CollectionAssert.AreEqual(expected, QdqGraph.Score(moved, x));
        CollectionAssert.AreEqual(expected, QdqGraph.Score(LowerQuantized.Apply(graph), x));
        return moved;
    }
}
