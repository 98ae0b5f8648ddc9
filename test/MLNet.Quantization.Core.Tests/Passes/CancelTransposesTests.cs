using MLNet.Quantization.Graph;
using MLNet.Quantization.Passes;

namespace MLNet.Quantization.Tests.Passes;

[TestClass]
public sealed class CancelTransposesTests
{
    [TestMethod]
    public void PixelsBecomeTokensByAReshape() => AssertBecomes("Reshape Relu", [2, 12, 5], g => Pixels(g, g.List(2, 5, 12), 0, 2, 1));

    [TestMethod]
    public void TokensBecomePixelsByAReshape() =>
        AssertBecomes("Reshape Reshape Relu", [2, 3, 4, 5], g => Transpose(g, g.Add("Reshape", Transpose(g, g.Add("Reshape", "x", g.List(2, 12, 5)), 0, 2, 1), g.List(2, 5, 3, 4)), 0, 2, 3, 1));

    [TestMethod]
    public void WhatElseReadsThePixelsStillFindsThem()
    {
        var g = new FloatGraph(2, 3, 4, 5);
        string first = Transpose(g, "x", 0, 3, 1, 2), tokens = Transpose(g, g.Add("Reshape", first, g.List(2, 5, 12)), 0, 2, 1);
        var graph = g.Build(13, g.Add("Relu", tokens), g.Add("Relu", first));
        var less = CancelTransposes.Apply(graph);
        Assert.AreEqual(1, less.Nodes.Count(n => n.OpType == "Transpose"));
        FloatGraph.AssertSame(graph, less, 0);
    }

    [TestMethod]
    public void TheBatchMayBeOpen()
    {
        var g = new FloatGraph(2, 3, 4, 5);
        var graph = g.Build(13, g.Add("Relu", Pixels(g, g.List(0, 5, 12), 0, 2, 1)));
        var open = CancelTransposes.Apply(graph with { Inputs = [graph.Inputs[0] with { Shape = new(new Dimension("N"), 3, 4, 5) }] });
        Assert.AreEqual("Reshape Relu", FloatGraph.Types(open));
        CollectionAssert.AreEqual(new long[] { 0, 12, 5 }, open.Initializers[open.Nodes[0].Inputs[1]].ToInt64s());
        FloatGraph.AssertSame(graph, open with { Inputs = graph.Inputs }, 0);
    }

    [TestMethod]
    public void WhatMovesElementsStays()
    {
        // Channels are split and joined with pixels, axes end in another order, and lines of pixels are columns.
        AssertBecomes("Transpose Reshape Transpose Relu", [2, 4, 15], g => Pixels(g, g.List(2, 15, 4), 0, 2, 1));
        AssertBecomes("Transpose Reshape Transpose Relu", [12, 2, 5], g => Pixels(g, g.List(2, 5, 12), 2, 0, 1));
        AssertBecomes("Transpose Reshape Transpose Relu", [2, 12, 5], g => Transpose(g, g.Add("Reshape", Transpose(g, "x", 0, 3, 2, 1), g.List(2, 5, 12)), 0, 2, 1));
    }

    private static string Pixels(FloatGraph g, string target, params long[] perm) => Transpose(g, g.Add("Reshape", Transpose(g, "x", 0, 3, 1, 2), target), perm);

    private static string Transpose(FloatGraph g, string x, params long[] perm) => g.Add("Transpose", FloatGraph.Ints("perm", perm), x);

    private static void AssertBecomes(string types, int[] dims, Func<FloatGraph, string> build)
    {
        var g = new FloatGraph(2, 3, 4, 5);
        var graph = g.Build(13, g.Add("Relu", build(g)));
        var less = CancelTransposes.Apply(graph);
        Assert.AreEqual(types, FloatGraph.Types(less));
        Assert.AreEqual(TensorShape.FromDims(dims), MLNet.Quantization.Ops.GraphInference.Infer(less)[less.Outputs[0].Name].Shape);
        FloatGraph.AssertSame(graph, less, 0);
    }
}
