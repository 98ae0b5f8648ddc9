using MLNet.Quantization.Graph;
using MLNet.Quantization.Passes;

namespace MLNet.Quantization.Tests.Passes;

[TestClass]
public class FoldNormalizationTests
{
    [TestMethod]
    [DataRow("Conv", 1)]
    [DataRow("Conv", 2)]
    [DataRow("Conv", 4)]
    [DataRow("ConvTranspose", 1)]
    [DataRow("ConvTranspose", 2)]
    [DataRow("ConvTranspose", 4)]
    public void ANormalizationBehindAConvolutionGoes(string type, int groups)
    {
        foreach (bool bias in new[] { false, true })
        {
            var g = new FloatGraph(2, 4, 5, 6);
            string w = type == "Conv" ? g.Weights(8, 4 / groups, 3, 2) : g.Weights(4, 8 / groups, 3, 2);
            string[] inputs = bias ? ["x", w, g.Weights(8)] : ["x", w];
            string y = g.Normalization(g.Add(type, FloatGraph.Ints("pads", 1, 0, 1, 1).With("group", groups), inputs), 8);
            AssertFolds(g.Build(13, y), type);
        }
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    public void ANormalizationBeforeAConvolutionWithoutPadsGoes(int groups)
    {
        var g = new FloatGraph(2, 4, 5, 6);
        AssertFolds(g.Build(9, g.Add("Conv", AttributeMap.Empty.With("group", groups), g.Normalization("x", 4), g.Weights(6, 4 / groups, 3, 3), g.Weights(6))), "Conv");
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void GemmTakesNormalizationOnBothSides(bool transposed)
    {
        var g = new FloatGraph(3, 7);
        string w = transposed ? g.Weights(5, 7) : g.Weights(7, 5);
        string layer = g.Add("Gemm", AttributeMap.Empty.With("transB", transposed ? 1 : 0), g.Normalization("x", 7), w, g.Weights(1, 5));
        AssertFolds(g.Build(13, g.Normalization(layer, 5)), "Gemm");
    }

    [TestMethod]
    public void ArithmeticByChannelGoesInAnyOrder()
    {
        var g = new FloatGraph(1, 3, 4, 5);
        string y = g.Add("Conv", FloatGraph.Ints("pads", 1, 1, 1, 1), g.Add("Mul", g.Scalar(0.25f), "x"), g.Weights(4, 3, 3, 3));
        y = g.Add("Add", g.Weights(4, 1, 1), y);
        y = g.Add("Mul", y, g.Weights(1, 4, 1, 1));
        y = g.Add("Sub", y, g.Weights(4, 1, 1));
        y = g.Add("Div", y, g.Between(0.5f, 2, 4, 1, 1));
        y = g.Add("Add", y, g.Constant(Tensor.Create([0.5f], 1, 1, 1, 1)));
        AssertFolds(g.Build(13, y), "Conv");
    }

    [TestMethod]
    public void OfOneDimensionAndOfThree()
    {
        var one = new FloatGraph(2, 3, 9);
        AssertFolds(one.Build(13, one.Add("Add", one.Normalization(one.Add("Conv", "x", one.Weights(4, 3, 2)), 4), one.Weights(1, 4, 1))), "Conv");
        var three = new FloatGraph(1, 2, 3, 4, 5);
        AssertFolds(three.Build(13, three.Normalization(three.Add("Conv", "x", three.Weights(3, 2, 2, 2, 2)), 3)), "Conv");
    }

    [TestMethod]
    public void WhatNearlyMatchesStays()
    {
        AssertStays(g => g.Add("Add", Conv(g), g.Weights(6)), "along the width");
        AssertStays(g => g.Add("Add", Conv(g), g.Weights(4, 5, 6)), "a number for each place");
        AssertStays(g => g.Add("Mul", Conv(g), g.Weights(1, 1, 4, 1, 1)), "an axis more");
        AssertStays(g => g.Add("Mul", Conv(g), g.Constant(Tensor.Create([2f], 1, 1, 1, 1, 1))), "an axis more, one number");
        AssertStays(g => g.Add("Div", g.Weights(4, 1, 1), Conv(g)), "the constant is divided");
        AssertStays(g => g.Add("Sub", g.Weights(4, 1, 1), Conv(g)), "the constant is reduced");
        AssertStays(g => g.Add("Div", Conv(g), g.Constant(Tensor.Create(new float[4], 4, 1, 1))), "by zero");
        AssertStays(g => g.Add("Mul", Conv(g), g.Constant(Tensor.Create([float.NaN, 1, 1, 1], 4, 1, 1))), "not a number");
        AssertStays(g => g.Add("Conv", FloatGraph.Ints("pads", 1, 1, 1, 1), g.Normalization("x", 3), g.Weights(4, 3, 3, 3)), "the shift would reach the padding");
        AssertStays(g => g.Add("ConvTranspose", g.Normalization("x", 3), g.Weights(3, 4, 3, 3)), "borders sum fewer");
        AssertStays(g => g.Add("Conv", g.Add("Add", "x", g.Scalar(100)), g.Weights(4, 3, 1, 1)), "what is quantized would lose its zero");
        AssertStays(g => g.Add("Conv", g.Add("Mul", "x", g.Weights(3, 1, 1)), g.Weights(4, 3, 1, 1)), "what is quantized would lose its common scale");
    }

    [TestMethod]
    public void ANormalizationOfUnequalFeaturesStays()
    {
        var g = new FloatGraph(3, 2);
        string n = g.Add("BatchNormalization", "x", g.Between(1, 1, 2), g.Weights(2), g.Weights(2), g.Constant(Tensor.Create([1e6f, 1f], 2)));
        var graph = g.Build(13, g.Add("Gemm", n, g.Weights(2, 4)));
        Assert.AreSame(graph, FoldNormalization.Apply(graph));
    }

    [TestMethod]
    public void WhatOthersSeeStays()
    {
        var g = new FloatGraph(1, 3, 5, 6);
        string conv = Conv(g), y = g.Normalization(conv, 4);
        var seen = g.Build(13, y, conv);
        Assert.AreSame(seen, FoldNormalization.Apply(seen));
        var read = g.Build(13, g.Add("Relu", conv), y);
        Assert.AreSame(read, FoldNormalization.Apply(read));
    }

    private static string Conv(FloatGraph g) => g.Add("Conv", FloatGraph.Ints("pads", 1, 1, 1, 1), "x", g.Weights(4, 3, 3, 3));

    private static void AssertFolds(ModelGraph graph, string types)
    {
        var folded = FoldNormalization.Apply(graph);
        Assert.AreEqual(types, FloatGraph.Types(folded));
        FloatGraph.AssertSame(graph, folded);
    }

    private static void AssertStays(Func<FloatGraph, string> build, string why)
    {
        var g = new FloatGraph(1, 3, 5, 6);
        var graph = g.Build(13, build(g));
        Assert.AreSame(graph, FoldNormalization.Apply(graph), why);
    }
}
