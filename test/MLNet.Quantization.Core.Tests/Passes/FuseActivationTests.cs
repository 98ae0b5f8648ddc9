using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Passes;

namespace MLNet.Quantization.Tests.Passes;

[TestClass]
public class FuseActivationTests
{
    [TestMethod]
    public void GeluByErfInItsSpellings()
    {
        foreach (var build in new Func<FloatGraph, string, string>[]
        {
            (g, x) => g.Add("Mul", g.Add("Mul", x, OnePlusErf(g, x)), g.Scalar(0.5f)),
            (g, x) => g.Add("Mul", g.Add("Mul", x, g.Scalar(0.5f)), OnePlusErf(g, x)),
            (g, x) => g.Add("Mul", g.Add("Mul", g.Constant(Tensor.Create([0.5f], 1)), OnePlusErf(g, x)), x),
            (g, x) => g.Add("Div", g.Add("Mul", OnePlusErf(g, x), x), g.Scalar(2)),
            (g, x) => g.Add("Mul", x, g.Add("Add", g.Scalar(0.5f), g.Add("Mul", g.Scalar(0.5f), g.Add("Erf", g.Add("Mul", g.Scalar(0.70710677f), x))))),
        })
        {
            AssertFuses(build, "Gelu", 20);
        }
    }

    [TestMethod]
    public void GeluByTanhInItsSpellings()
    {
        foreach (var cube in new Func<FloatGraph, string, string>[]
        {
            (g, x) => g.Add("Add", x, g.Add("Mul", x, g.Add("Mul", x, g.Add("Mul", g.Scalar(0.044715f), x)))),
            (g, x) => g.Add("Add", g.Add("Mul", g.Add("Pow", x, g.Scalar(3)), g.Scalar(0.044715f)), x),
            (g, x) => g.Add("Mul", x, g.Add("Add", g.Scalar(1), g.Add("Mul", g.Scalar(0.044715f), g.Add("Mul", x, x)))),
        })
        {
            AssertFuses((g, x) => g.Add("Mul", x, g.Add("Mul", g.Scalar(0.5f), g.Add("Add", g.Constant(Tensor.Create([1f], 1, 1)), g.Add("Tanh", g.Add("Mul", g.Scalar(0.7978846f), cube(g, x)))))), "Gelu", 20);
        }
    }

    [TestMethod]
    public void HardSwishInItsSpellings()
    {
        foreach (var build in new Func<FloatGraph, string, string>[]
        {
            (g, x) => g.Add("Mul", x, g.Add("HardSigmoid", AttributeMap.Empty.With("alpha", 1 / 6f), x)),
            (g, x) => g.Add("Div", g.Add("Mul", x, Relu6(g, x)), g.Scalar(6)),
            (g, x) => g.Add("Mul", g.Add("Mul", Relu6(g, x), g.Scalar(1 / 6f)), x),
            (g, x) => g.Add("Mul", g.Add("Div", x, g.Scalar(6)), Relu6(g, x)),
            (g, x) => g.Add("Mul", x, g.Add("Clip", g.Add("Add", g.Add("Div", x, g.Scalar(6)), g.Scalar(0.5f)), g.Scalar(0), g.Scalar(1))),
        })
        {
            AssertFuses(build, "HardSwish", 14);
        }
    }

    [TestMethod]
    public void AProductInFrontIsNotMistakenForAFactor()
    {
        var g = new FloatGraph(2, 5);
        string x = g.Add("Mul", g.Add("Mul", "x", "x"), g.Scalar(0.5f));
        var graph = g.Build(13, g.Add("Mul", g.Add("Mul", x, g.Scalar(0.5f)), OnePlusErf(g, x)));
        var fused = FuseActivation.Apply(graph, Facts(graph));
        Assert.AreEqual("Mul Mul Gelu", FloatGraph.Types(fused));
        FloatGraph.AssertSame(graph, fused, 1e-6);
    }

    [TestMethod]
    public void WhatNearlyMatchesStays()
    {
        AssertStays(g => g.Add("Mul", "x", g.Add("HardSigmoid", "x")), "the slope is 0.2");
        AssertStays(g => g.Add("Mul", g.Add("Mul", "x", g.Scalar(0.5f)), g.Add("Add", g.Scalar(1), g.Add("Erf", "x"))), "not by the root of two");
        AssertStays(g => g.Add("Mul", g.Add("Sub", OnePlusErf(g, "x"), g.Scalar(0)), "x"), "not half");
        AssertStays(g => g.Add("Mul", g.Weights(2, 5), g.Add("HardSigmoid", AttributeMap.Empty.With("alpha", 1 / 6f), "x")), "not its own gate");
        AssertStays(g => g.Add("Mul", g.Add("Mul", "x", g.Constant(Tensor.Create([0.5f], 1, 1, 1))), OnePlusErf(g, "x")), "an axis more");
        AssertStays(g => g.Add("Div", g.Add("Mul", "x", g.Add("Clip", g.Add("Add", "x", g.Scalar(3)), g.Scalar(0), g.Scalar(5))), g.Scalar(6)), "up to five");
        AssertStays(g => g.Add("Div", g.Add("Mul", "x", g.Add("Clip", g.Add("Add", "x", g.Scalar(3)), g.Scalar(0))), g.Scalar(6)), "no upper bound");
        AssertStays(g =>
        {
            string product = g.Add("Mul", "x", OnePlusErf(g, "x"));
            return g.Add("Add", g.Add("Mul", product, g.Scalar(0.5f)), product);
        }, "read on the way");
    }

    [TestMethod]
    public void AModelThatCannotBeRaisedKeepsItsForm()
    {
        var g = new FloatGraph(2, 5);
        string y = g.Add("Mul", g.Add("Mul", "x", g.Scalar(0.5f)), OnePlusErf(g, "x"));
        var graph = g.Build(13, g.Add("GridSample", y, y));
        Assert.AreSame(graph, FuseActivation.Apply(graph, Facts(graph)));
    }

    [TestMethod]
    public void ReductionsAndSplitAreRaisedToo()
    {
        var g = new FloatGraph(2, 6);
        string half = g.Add("Split", AttributeMap.Empty.With("axis", 1), "x");
        var built = g.Build(13, g.Add("ReduceMax", FloatGraph.Ints("axes", 1), g.Add("ReduceMean", FloatGraph.Ints("axes", 0), half)));
        var graph = built with { Nodes = [built.Nodes[0] with { Outputs = [half, "rest"] }, .. built.Nodes.Skip(1)] };
        Assert.IsTrue(LaterOpset.CanRaise(graph, 20));
        var raised = LaterOpset.Raise(graph, 20);
        Assert.AreEqual(20, raised.Opset);
        FloatGraph.AssertSame(graph, raised, 0);
    }

    private static string OnePlusErf(FloatGraph g, string x) => g.Add("Add", g.Scalar(1), g.Add("Erf", g.Add("Div", x, g.Scalar(1.4142135f))));

    private static string Relu6(FloatGraph g, string x) => g.Add("Clip", g.Add("Add", x, g.Scalar(3)), g.Scalar(0), g.Scalar(6));

    private static void AssertFuses(Func<FloatGraph, string, string> build, string types, int opset)
    {
        var g = new FloatGraph(2, 5);
        var graph = g.Build(13, build(g, "x"));
        var fused = FuseActivation.Apply(graph, Facts(graph));
        Assert.AreEqual(types, FloatGraph.Types(fused));
        Assert.AreEqual(opset, fused.Opset);
        FloatGraph.AssertSame(graph, fused, 1e-6);
    }

    private static void AssertStays(Func<FloatGraph, string> build, string why)
    {
        var g = new FloatGraph(2, 5);
        var graph = g.Build(13, build(g));
        Assert.AreSame(graph, FuseActivation.Apply(graph, Facts(graph)), why);
    }

    private static Dictionary<string, ValueFact> Facts(ModelGraph graph) => graph.Inputs.ToDictionary(i => i.Name, ValueFact.Of);
}
