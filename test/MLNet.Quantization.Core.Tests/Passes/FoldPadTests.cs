using MLNet.Quantization.Graph;
using MLNet.Quantization.Passes;

namespace MLNet.Quantization.Tests.Passes;

[TestClass]
public class FoldPadTests
{
    [TestMethod]
    public void ZerosGoIntoTheConvolution()
    {
        AssertBecomes("Conv", g => Conv(g, Pad(g, "x", 0, 0, 1, 2, 0, 0, 3, 0)));
        AssertBecomes("Conv", g => Conv(g, Pad(g, "x", 0, 0, 0, 0, 0, 0, 1, 1), FloatGraph.Ints("pads", 1, 0, 0, 2)));
        AssertBecomes("Conv", g => Conv(g, g.Add("Pad", "x", g.List(0, 0, 1, 1, 0, 0, 1, 1), g.Scalar(0)), AttributeMap.Empty.With("auto_pad", "VALID")));
        AssertBecomes("Conv", g => Conv(g, g.Add("Pad", "x", g.List(1, 2, 3, 0), "", g.List(-1, 2))), 18);
    }

    [TestMethod]
    public void AnotherReaderKeepsThePad()
    {
        var g = new FloatGraph(2, 3, 7, 6);
        string padded = Pad(g, "x", 0, 0, 1, 1, 0, 0, 1, 1);
        var graph = g.Build(13, Conv(g, padded), g.Add("Relu", padded));
        var folded = FoldPad.Apply(graph);
        Assert.AreEqual("x", folded.Nodes.Single(n => n.OpType == "Conv").Inputs[0]);
        FloatGraph.AssertSame(graph, folded, 1e-6);
    }

    [TestMethod]
    public void ZerosGoIntoAMaximumOfWhatIsNeverNegative()
    {
        AssertBecomes("Relu MaxPool", g => Pool(g, Pad(g, g.Add("Relu", "x"), 0, 0, 1, 1, 0, 0, 1, 2), 3));
        AssertBecomes("Clip MaxPool", g => Pool(g, Pad(g, g.Add("Clip", "x", g.Scalar(0), g.Scalar(6)), 0, 0, 1, 1, 0, 0, 1, 1), 2));
        AssertBecomes("Pad MaxPool", g => Pool(g, Pad(g, "x", 0, 0, 1, 1, 0, 0, 1, 1), 3));
        AssertBecomes("Relu Pad MaxPool", g => Pool(g, Pad(g, g.Add("Relu", "x"), 0, 0, 2, 1, 0, 0, 1, 1), 2));
        AssertBecomes("Relu Pad AveragePool", g => g.Add("AveragePool", FloatGraph.Ints("kernel_shape", 3, 3), Pad(g, g.Add("Relu", "x"), 0, 0, 1, 1, 0, 0, 1, 1)));
    }

    [TestMethod]
    public void WhatNearlyMatchesStays()
    {
        AssertBecomes("Pad Conv", g => Conv(g, g.Add("Pad", "x", g.List(0, 0, 1, 1, 0, 0, 1, 1), g.Scalar(1))));
        AssertBecomes("Pad Conv", g => Conv(g, g.Add("Pad", AttributeMap.Empty.With("mode", "reflect"), "x", g.List(0, 0, 1, 1, 0, 0, 1, 1))));
        AssertBecomes("Pad Conv", g => Conv(g, Pad(g, "x", 1, 0, 1, 1, 0, 0, 1, 1)));
        AssertBecomes("Pad Conv", g => Conv(g, Pad(g, "x", 0, 0, -1, 1, 0, 0, 1, 1)));
        AssertBecomes("Pad Conv", g => Conv(g, Pad(g, "x", 0, 0, 1, 1, 0, 0, 1, 1), AttributeMap.Empty.With("auto_pad", "SAME_UPPER")));
    }

    private static string Pad(FloatGraph g, string x, params long[] pads) => g.Add("Pad", x, g.List(pads));

    private static string Conv(FloatGraph g, string x, AttributeMap? attributes = null) => g.Add("Conv", attributes ?? AttributeMap.Empty, x, g.Weights(4, 3, 3, 2));

    private static string Pool(FloatGraph g, string x, long kernel) => g.Add("MaxPool", FloatGraph.Ints("kernel_shape", kernel, kernel), x);

    private static void AssertBecomes(string types, Func<FloatGraph, string> build, int opset = 13)
    {
        var g = new FloatGraph(2, 3, 7, 6);
        var graph = g.Build(opset, build(g));
        var folded = FoldPad.Apply(graph);
        Assert.AreEqual(types, FloatGraph.Types(folded));
        FloatGraph.AssertSame(graph, folded, 1e-6);
    }
}
