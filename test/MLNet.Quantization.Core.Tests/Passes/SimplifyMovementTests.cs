using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Passes;

namespace MLNet.Quantization.Tests.Passes;

[TestClass]
public class SimplifyMovementTests
{
    [TestMethod]
    public void WhatMovesNothingGoes()
    {
        AssertBecomes("Relu", g => g.Add("Reshape", "x", g.List(2, -1, 4, 5)));
        AssertBecomes("Relu", g => g.Add("Reshape", g.Add("Reshape", "x", g.List(6, 20)), g.List(2, 3, 4, 5)));
        AssertBecomes("Relu", g => g.Add("Squeeze", g.Add("Unsqueeze", "x", g.List(1)), g.List(1)));
        AssertBecomes("Relu", g => g.Add("Slice", "x", g.List(0, 0), g.List(int.MaxValue, 4), g.List(0, 2)));
        AssertBecomes("Relu", g => Transpose(g, "x", 0, 1, 2, 3));
        AssertBecomes("Relu", g => Transpose(g, Transpose(g, "x", 0, 2, 3, 1), 0, 3, 1, 2));
        AssertBecomes("Relu", g => g.Add("Concat", AttributeMap.Empty.With("axis", 1), "x"));
        AssertBecomes("Relu", g => g.Add("Cast", AttributeMap.Empty.With("to", 1), "x"));
    }

    [TestMethod]
    public void ChainsBecomeOne()
    {
        AssertBecomes("Transpose Relu", g => Transpose(g, Transpose(g, "x", 0, 2, 3, 1), 0, 2, 3, 1));
        AssertBecomes("Reshape Relu", g => g.Add("Reshape", g.Add("Flatten", "x"), g.List(-1, 5)));
        AssertBecomes("Transpose Unsqueeze Relu", g => Transpose(g, g.Add("Unsqueeze", Transpose(g, "x", 0, 2, 1, 3), g.List(4)), 0, 1, 3, 2, 4));
        AssertBecomes("Unsqueeze Relu", g => Transpose(g, g.Add("Unsqueeze", Transpose(g, "x", 0, 2, 1, 3), g.List(-1)), 0, 2, 1, 3, 4));
    }

    [TestMethod]
    public void WhatNearlyMatchesStays()
    {
        AssertBecomes("Slice Relu", g => g.Add("Slice", "x", g.List(-1), g.List(int.MinValue), g.List(3), g.List(-1)));
        AssertBecomes("Slice Relu", g => g.Add("Slice", "x", g.List(1), g.List(3), g.List(3)));
        AssertBecomes("Slice Relu", g => g.Add("Slice", "x", g.List(0), g.List(4), g.List(-1)));
        AssertBecomes("Slice Relu", g => g.Add("Slice", "x", g.List(0), g.List(9), g.List(3), g.List(2)));
        AssertBecomes("Flatten Reshape Relu", g => g.Add("Reshape", g.Add("Flatten", "x"), g.List(0, -1, 5)));
        AssertBecomes("Unsqueeze Transpose Relu", g => Transpose(g, g.Add("Unsqueeze", "x", g.List(-1)), 0, 2, 1, 3, 4));
        AssertBecomes("Transpose Unsqueeze Transpose Relu", g => Transpose(g, g.Add("Unsqueeze", Transpose(g, "x", 0, 2, 1, 3), g.List(0)), 0, 2, 1, 3, 4));
    }

    [TestMethod]
    public void AShapeThatIsComputedButKnownIsWrittenDown()
    {
        static ModelGraph Build(params string[] more)
        {
            var g = new FloatGraph(2, 3, 4, 5);
            string batch = g.Add("Unsqueeze", g.Add("Gather", g.Add("Shape", "x"), g.Constant(Tensor.Scalar(0L))), g.List(0));
            string target = g.Add("Concat", AttributeMap.Empty.With("axis", 0), [batch, .. more.Select(m => g.List(int.Parse(m, System.Globalization.CultureInfo.InvariantCulture)))]);
            var graph = g.Build(13, g.Add("Relu", g.Add("Reshape", "x", target)));
            return graph with { Inputs = [graph.Inputs[0] with { Shape = new(new Dimension("N"), 3, 4, 5) }] };
        }
        foreach (var graph in new[] { Build("-1", "2"), Build("60"), Build("4", "15") })
        {
            var simple = Simplify(graph);
            Assert.AreEqual("Reshape Relu", FloatGraph.Types(simple));
            Assert.AreEqual(0, simple.Initializers[simple.Nodes[0].Inputs[1]].ToInt64s()[0]);
            static ModelGraph OfTwo(ModelGraph g) => g with { Inputs = [g.Inputs[0] with { Shape = new(2, 3, 4, 5) }] };
            FloatGraph.AssertSame(OfTwo(graph), OfTwo(simple), 0);
        }
    }

    [TestMethod]
    public void AnOutputKeepsItsNameAndAnOpenExtentIsNotTakenForEqual()
    {
        var g = new FloatGraph(2, 3);
        var output = g.Build(13, g.Add("Reshape", "x", g.List(2, 3)));
        Assert.AreSame(output, Simplify(output));
        var open = new FloatGraph(2, 3);
        var graph = open.Build(13, open.Add("Relu", open.Add("Reshape", "x", open.List(2, 3))));
        graph = graph with { Inputs = [graph.Inputs[0] with { Shape = new(Dimension.Unknown, 3) }] };
        Assert.AreSame(graph, Simplify(graph));
    }

    private static string Transpose(FloatGraph g, string x, params long[] perm) => g.Add("Transpose", AttributeMap.Empty.With("perm", perm.ToImmutableArray()), x);

    private static void AssertBecomes(string types, Func<FloatGraph, string> build)
    {
        var g = new FloatGraph(2, 3, 4, 5);
        var graph = g.Build(13, g.Add("Relu", build(g)));
        var simple = Simplify(graph);
        Assert.AreEqual(types, FloatGraph.Types(simple));
        FloatGraph.AssertSame(graph, simple, 0);
    }

    private static ModelGraph Simplify(ModelGraph graph) => SimplifyMovement.Apply(graph, GraphInference.Infer(graph));
}
