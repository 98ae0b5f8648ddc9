using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Passes;

namespace MLNet.Quantization.Tests.Passes;

/// <summary>What a node computes is the same before and after, by ONNX Runtime's knowledge of the versions and by the engine's own.</summary>
[TestClass]
public class RaiseOpsetTests
{
    private static readonly int[] Dims = [2, 3, 1, 4];

    [TestMethod]
    [DataRow(7, "min")]
    [DataRow(7, "max")]
    [DataRow(10, "min,max")]
    [DataRow(7, "")]
    public void ClipBoundsBecomeInputs(int opset, string given)
    {
        var attributes = AttributeMap.Empty;
        if (given.Contains("min")) attributes = attributes.With("min", -0.25f);
        if (given.Contains("max")) attributes = attributes.With("max", 0.5f);
        AssertSame(opset, [Node.Create("c", "Clip", ["x"], ["y"]) with { Attributes = attributes }]);
    }

    [TestMethod]
    [DataRow("Softmax", 0)]
    [DataRow("Softmax", 1)]
    [DataRow("Softmax", 2)]
    [DataRow("Softmax", 3)]
    [DataRow("LogSoftmax", 0)]
    [DataRow("LogSoftmax", 1)]
    [DataRow("LogSoftmax", 3)]
    public void SoftmaxKeepsTakingAllAxesFromItsOwn(string type, int axis)
    {
        foreach (int opset in new[] { 7, 11, 12 })
            foreach (bool ranks in new[] { false, true })
                AssertSame(opset, [Node.Create("s", type, ["x"], ["y"]) with { Attributes = AttributeMap.Empty.With("axis", axis) }], ranks);
    }

    [TestMethod]
    public void SoftmaxWithoutAnAxisMeansOne()
    {
        AssertSame(9, [Node.Create("s", "Softmax", ["x"], ["y"])]);
        AssertSame(11, [Node.Create("s", "Softmax", ["x"], ["y"]) with { Attributes = AttributeMap.Empty.With("axis", -2L) }]);
        AssertSame(11, [Node.Create("s", "Softmax", ["x"], ["y"]) with { Attributes = AttributeMap.Empty.With("axis", -1L) }]);
    }

    [TestMethod]
    public void TheLastAxisNeedsNothingAround()
    {
        var graph = GraphOf(9, [Node.Create("s", "Softmax", ["x"], ["y"]) with { Attributes = AttributeMap.Empty.With("axis", 3L) }]);
        var raised = RaiseOpset.Apply(graph, Facts(graph, true));
        Assert.HasCount(1, raised.Nodes);
        Assert.AreEqual(-1L, raised.Nodes[0].Attributes.Get("axis", 0L));
    }

    [TestMethod]
    public void AxesBecomeInputs()
    {
        static Node With(Node node, string name, params long[] list) => node with { Attributes = node.Attributes.With(name, list.ToImmutableArray()) };
        AssertSame(7, [With(Node.Create("a", "Squeeze", ["x"], ["s"]), "axes", 2), With(Node.Create("b", "Unsqueeze", ["s"], ["y"]), "axes", 0, 3)]);
        AssertSame(12, [Node.Create("a", "Squeeze", ["x"], ["s"]), With(Node.Create("b", "Unsqueeze", ["s"], ["y"]), "axes", -1)]);
        AssertSame(9, [With(With(With(Node.Create("a", "Slice", ["x"], ["y"]), "starts", 1, 0), "ends", 3, -1), "axes", 1, 3)]);
        AssertSame(9, [With(With(Node.Create("a", "Slice", ["x"], ["y"]), "starts", 1), "ends", 2)]);
        AssertSame(11, [With(Node.Create("a", "ReduceSum", ["x"], ["y"]), "axes", 1, 3)]);
        AssertSame(7, [With(Node.Create("a", "Split", ["x"], ["y", "rest"]), "split", 1, 2) with { Attributes = AttributeMap.Empty.With("axis", 1).With("split", ImmutableArray.Create(1L, 2L)) }]);
        AssertSame(7, [With(Node.Create("a", "Pad", ["x"], ["y"]), "pads", 0, 1, 0, 0, 0, 0, 2, 0)]);
    }

    [TestMethod]
    [DataRow("nearest")]
    [DataRow("linear")]
    public void UpsampleBecomesResize(string mode)
    {
        var scales = ImmutableArray.Create(1f, 1, 3, 2.5f);
        var up = Node.Create("up", "Upsample", ["x"], ["y"]) with { Attributes = AttributeMap.Empty.With("mode", mode) };
        AssertSame(8, [up with { Attributes = up.Attributes.With("scales", scales) }]);
        foreach (var (opset, type) in new[] { (9, "Upsample"), (10, "Resize") })
        {
            var graph = GraphOf(opset, [up with { OpType = type, Inputs = ["x", "scales"] }]);
            AssertSame(graph with { Initializers = graph.Initializers.Add("scales", Tensor.Create(scales.AsSpan(), 4)) }, true);
        }
        var eleven = GraphOf(11, [up with { OpType = "Resize", Inputs = ["x", "none", "scales"] }]);
        AssertSame(eleven with { Initializers = eleven.Initializers.Add("none", Tensor.Create<float>([], 0)).Add("scales", Tensor.Create(scales.AsSpan(), 4)) }, true);
    }

    [TestMethod]
    public void DropoutRatioBecomesAnInputAndItsFloatMaskIsRefused()
    {
        var dropout = Node.Create("d", "Dropout", ["x"], ["y"]) with { Attributes = AttributeMap.Empty.With("ratio", 0.75f) };
        AssertSame(7, [dropout]);
        var masked = GraphOf(7, [dropout with { Outputs = ["y", "mask"] }]);
        Assert.ThrowsExactly<UnsupportedOperatorException>(() => RaiseOpset.Apply(masked, Facts(masked, false)));
    }

    [TestMethod]
    public void SubgraphsAreRaisedToo()
    {
        ModelGraph Body(float max) => new()
        {
            Inputs = [],
            Outputs = [new("inner", ElementType.Float, null)],
            Nodes = [Node.Create("c", "Clip", ["x"], ["inner"]) with { Attributes = AttributeMap.Empty.With("min", 0f).With("max", max) }],
        };
        var choice = Node.Create("choose", "If", ["condition"], ["y"]) with { Attributes = AttributeMap.Empty.With("then_branch", Body(0.25f)).With("else_branch", Body(0.5f)) };
        var graph = GraphOf(9, [choice]);
        graph = graph with { Initializers = graph.Initializers.Add("condition", Tensor.Scalar(true)) };
        AssertSame(graph, true);
    }

    [TestMethod]
    public void WhatIsNotKnownIsNamed()
    {
        var graph = GraphOf(8, [Node.Create("up", "Upsample", ["x"], ["y"])]);
        var e = Assert.ThrowsExactly<UnsupportedOperatorException>(() => RaiseOpset.Apply(graph, Facts(graph, false)));
        StringAssert.Contains(e.Message, "'up' (Upsample)");
    }

    private static void AssertSame(int opset, ImmutableArray<Node> nodes, bool ranks = false) => AssertSame(GraphOf(opset, nodes), ranks);

    private static void AssertSame(ModelGraph graph, bool ranks)
    {
        var raised = RaiseOpset.Apply(graph, Facts(graph, ranks));
        Assert.AreEqual(RaiseOpset.Target, raised.Opset);
        var random = new Random(3);
        float[] x = [.. Enumerable.Range(0, Dims.Aggregate(1, (a, b) => a * b)).Select(_ => random.NextSingle() * 2 - 1)];
        CollectionAssert.AreEqual(OnnxRuntimeOracle.Score(graph, false, ("x", x, Dims))[0], OnnxRuntimeOracle.Score(raised, false, ("x", x, Dims))[0]);
        if (graph.Nodes.All(OperatorSet.Supports)) CollectionAssert.AreEqual(QdqGraph.Score(graph, x), QdqGraph.Score(raised, x));
    }

    private static Dictionary<string, ValueFact> Facts(ModelGraph graph, bool ranks) =>
        ranks ? graph.Inputs.ToDictionary(i => i.Name, ValueFact.Of) : [];

    private static ModelGraph GraphOf(int opset, ImmutableArray<Node> nodes) => new()
    {
        Name = "g",
        Inputs = [new("x", ElementType.Float, TensorShape.FromDims(Dims))],
        Outputs = [new("y", ElementType.Float, null)],
        Nodes = nodes,
        OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", opset),
    };
}
