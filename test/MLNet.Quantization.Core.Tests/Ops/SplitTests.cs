using System.Collections.Immutable;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>What the conformance cases of Split leave out: lists of lengths without any, and parts that nobody wants.</summary>
[TestClass]
public sealed class SplitTests
{
    private static readonly string[] Parts = ["first", "", "last"];

    [TestMethod]
    public void AnEmptyListOfLengthsIsAnError()
    {
        Tensor x = Tensor.Create([1f, 2, 3, 4], 4), none = Tensor.Create(Array.Empty<long>(), 0);
        var byInput = Node.Create("cut", "Split", ["x", "lengths"], ["a", "b"]);
        var byAttribute = Node.Create("cut", "Split", ["x"], ["a", "b"]) with { Attributes = AttributeMap.Empty.With("split", ImmutableArray<long>.Empty) };
        foreach (var run in new Action[] { () => OneNode.Run(byInput, [x, none], constant: [1]), () => OneNode.Run(byAttribute, [x], opset: 11) })
            StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(run).Message, "'cut' (Split): lengths [] do not cut axis of 4 into 2 parts");
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void AnOmittedPartIsSkipped(bool isConstant)
    {
        Tensor x = Tensor.Create([1f, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 2, 6), lengths = Tensor.Create([1L, 3, 2], 3);
        var node = Node.Create("cut", "Split", ["x", "lengths"], Parts) with { Attributes = AttributeMap.Empty.With("axis", 1L) };
        int[] constant = isConstant ? [1] : [];
        CollectionAssert.AreEqual(new[] { 1f, 7 }, OneNode.Run(node, [x, lengths], constant).Span<float>().ToArray());
        CollectionAssert.AreEqual(new[] { 5f, 6, 11, 12 }, OneNode.Run(node, [x, lengths], constant, output: 2).Span<float>().ToArray());
    }

    [TestMethod]
    public void AnOmittedPartIsSkippedWhereLengthsAreAnAttributeOrEqual()
    {
        Tensor x = Tensor.Create([1f, 2, 3, 4, 5, 6], 6);
        var node = Node.Create("cut", "Split", ["x"], Parts);
        CollectionAssert.AreEqual(new[] { 5f, 6 }, OneNode.Run(node, [x], output: 2).Span<float>().ToArray());
        var byAttribute = node with { Attributes = AttributeMap.Empty.With("split", ImmutableArray.Create(1L, 4, 1)) };
        CollectionAssert.AreEqual(new[] { 6f }, OneNode.Run(byAttribute, [x], opset: 11, output: 2).Span<float>().ToArray());
    }

    [TestMethod]
    public void AnOmittedPartIsSkippedWhereLengthsFollowFromAShape()
    {
        var graph = new ModelGraph
        {
            Inputs = [new("x", ElementType.Float, new TensorShape(6)), new("z", ElementType.Float, new TensorShape(new Dimension("A"), new Dimension("B"), new Dimension("C")))],
            Outputs = [new("last", ElementType.Float, null)],
            Nodes = [Node.Create("shape", "Shape", ["z"], ["lengths"]), Node.Create("cut", "Split", ["x", "lengths"], Parts)],
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 21),
        };
        var program = Program.Compile(graph);
        foreach (int skipped in new[] { 3, 0, 4 })
        {
            using var run = program.Rent([6], [1, skipped, 5 - skipped]);
            for (int i = 0; i < 6; i++) run.Input<float>(0)[i] = i;
            run.Execute();
            CollectionAssert.AreEqual(Enumerable.Range(1 + skipped, 5 - skipped).Select(i => (float)i).ToArray(), run.Output<float>(0).ToArray());
        }
    }
}
