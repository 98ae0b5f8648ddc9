using MLNet.Quantization.Passes;

namespace MLNet.Quantization.Tests.Passes;

[TestClass]
public class SwapSqueezeTests
{
    [TestMethod]
    [DataRow("Add", 3)]
    [DataRow("Mul", -1)]
    [DataRow("Sub", 3)]
    public void ABiasBehindASqueezeReachesTheConvolution(string type, int axis)
    {
        var g = new FloatGraph(2, 3, 7, 1);
        string squeezed = g.Add("Squeeze", Conv(g), g.List(axis));
        var graph = g.Build(13, g.Add("Relu", g.Add(type, squeezed, g.Weights(1, 4, 1))));
        var swapped = FoldNormalization.Apply(SwapSqueeze.Apply(graph));
        Assert.AreEqual("Conv Squeeze Relu", FloatGraph.Types(swapped));
        FloatGraph.AssertSame(graph, swapped);
    }

    [TestMethod]
    public void AConstantOnTheLeftOrByPlaceMovesToo()
    {
        foreach (int[] dims in new int[][] { [4, 5], [5], [], [1, 1, 5] })
        {
            var g = new FloatGraph(2, 3, 7, 1);
            var graph = g.Build(13, g.Add("Div", g.Weights(dims), g.Add("Squeeze", Conv(g), g.List(3))));
            var swapped = SwapSqueeze.Apply(graph);
            Assert.AreEqual("Conv Div Squeeze", FloatGraph.Types(swapped));
            FloatGraph.AssertSame(graph, swapped);
        }
    }

    [TestMethod]
    public void WhatNearlyMatchesStays()
    {
        AssertStays(g => g.Add("Add", g.Add("Squeeze", Conv(g), g.List(3)), g.Weights(1, 2, 4, 5)), "an axis more");
        AssertStays(g => g.Add("Add", g.Add("Squeeze", Conv(g)), g.Weights(4, 5)), "which axes is not said");
        AssertStays(g => g.Add("Add", g.Add("Squeeze", g.Add("Relu", Conv(g)), g.List(3)), g.Weights(4, 1)), "no convolution");
    }

    private static string Conv(FloatGraph g) => g.Add("Conv", "x", g.Weights(4, 3, 3, 1));

    private static void AssertStays(Func<FloatGraph, string> build, string why)
    {
        var g = new FloatGraph(2, 3, 7, 1);
        var graph = g.Build(13, build(g));
        Assert.AreSame(graph, SwapSqueeze.Apply(graph), why);
    }
}
