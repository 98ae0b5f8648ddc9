using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Passes;
using Tensor = MLNet.Quantization.Graph.Tensor;

namespace MLNet.Quantization.Tests.Passes;

[TestClass]
public class LookUpOneHotTests
{
    private const int Count = 6, Width = 4;

    /// <summary>Some select nothing, some count from the end.</summary>
    private static readonly int[] Indices = [0, 5, 6, -1, -6, -7, 3, int.MaxValue, int.MinValue, 1000];

    private static readonly int[] Dims = [2, 5];

    [TestMethod]
    public void NumbersComparedWithZeroOneTwoSelectRows()
    {
        foreach (bool expanded in new[] { false, true })
        {
            var (g, facts) = Start();
            string i = Compared(g, facts, expanded);
            AssertLooksUp(g, facts, g.Add("MatMul", Hot(g, facts, i, Numbers(g)), g.Weights(Count, Width)), "Unsqueeze Squeeze Clip Sub Gather");
        }
    }

    [TestMethod]
    public void TheOperatorOneHotSelectsRowsFromBothEnds()
    {
        foreach (int axis in new[] { -1, 2 })
        {
            var (g, facts) = Start();
            AssertLooksUp(g, facts, g.Add("MatMul", OneHot(g, axis, 0, 1), g.Weights(Count, Width)), "Clip Sub Gather");
        }
    }

    [TestMethod]
    public void FunctionsOfWhatIsFoundAreWorkedOutOnce()
    {
        var (g, facts) = Start();
        string product = Known(facts, g.Add("MatMul", OneHot(g, -1, 0, 1), g.Weights(Count, Width)), 2, 5, Width);
        string sum = Known(facts, g.Add("Add", g.Weights(1, 1, Width), product), 2, 5, Width);
        string scaled = Known(facts, g.Add("Mul", sum, g.Scalar(3)), 2, 5, Width);
        string y = Known(facts, g.Add("Sigmoid", scaled), 2, 5, Width);
        AssertLooksUp(g, facts, g.Add("Div", y, g.Weights(2, 5, 1)), "Clip Sub Gather Div");
    }

    [TestMethod]
    public void WhatNearlyMatchesStays()
    {
        AssertStays((g, f) => g.Add("MatMul", OneHot(g, 1, 0, 1), g.Weights(5, Width)), "vectors along another axis");
        AssertStays((g, f) => g.Add("MatMul", OneHot(g, -1, 0, 2), g.Weights(Count, Width)), "two-hot");
        AssertStays((g, f) => g.Add("MatMul", OneHot(g, -1, 0, 1), g.Between(float.PositiveInfinity, float.PositiveInfinity, Count, Width)), "zero times infinity");
        AssertStays((g, f) => g.Add("MatMul", Hot(g, f, Compared(g, f, false), g.Constant(Tensor.Create([0, 1, 2, 3, 4, 6], 1, 1, Count))), g.Weights(Count, Width)), "a number is left out");
    }

    private static (FloatGraph Graph, Dictionary<string, ValueFact> Facts) Start() =>
        (new(Dims) { InputType = ElementType.Int32 }, new(StringComparer.Ordinal) { ["x"] = new(ElementType.Int32, TensorShape.FromDims(Dims)) });

    private static string Known(Dictionary<string, ValueFact> facts, string value, params int[] dims)
    {
        facts[value] = new(ElementType.Float, TensorShape.FromDims(dims));
        return value;
    }

    private static string Compared(FloatGraph g, Dictionary<string, ValueFact> facts, bool expanded)
    {
        string i = Known(facts, g.Add("Unsqueeze", "x", g.List(2)), 2, 5, 1);
        return expanded ? Known(facts, g.Add("Expand", i, g.List(2, 5, Count)), 2, 5, Count) : i;
    }

    private static string Numbers(FloatGraph g) => g.Constant(Tensor.Create([.. Enumerable.Range(0, Count)], 1, 1, Count));

    private static string Hot(FloatGraph g, Dictionary<string, ValueFact> facts, string i, string numbers) =>
        Known(facts, g.Add("Cast", AttributeMap.Empty.With("to", 1), g.Add("Equal", i, numbers)), 2, 5, Count);

    private static string OneHot(FloatGraph g, int axis, float off, float on) =>
        g.Add("OneHot", AttributeMap.Empty.With("axis", axis), "x", g.Constant(Tensor.Create([Count], 1)), g.Constant(Tensor.Create([off, on], 2)));

    private static void AssertLooksUp(FloatGraph g, Dictionary<string, ValueFact> facts, string output, string types)
    {
        var graph = g.Build(13, output);
        var found = LookUpOneHot.Apply(graph, facts);
        Assert.AreEqual(types, FloatGraph.Types(found));
        FloatGraph.AssertClose(Score(graph), Score(found), 1e-6);
    }

    private static void AssertStays(Func<FloatGraph, Dictionary<string, ValueFact>, string> build, string why)
    {
        var (g, facts) = Start();
        var graph = g.Build(13, build(g, facts));
        Assert.AreSame(graph, LookUpOneHot.Apply(graph, facts), why);
    }

    private static float[] Score(ModelGraph graph)
    {
        using var session = new InferenceSession(OnnxWriter.Write(graph));
        using var results = session.Run([NamedOnnxValue.CreateFromTensor("x", new DenseTensor<int>(Indices, Dims))]);
        return [.. results[0].AsTensor<float>()];
    }
}
