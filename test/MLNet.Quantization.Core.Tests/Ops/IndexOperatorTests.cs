using System.Collections.Immutable;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>Operators that choose by index: what the standard's own cases do not reach.</summary>
[TestClass]
public sealed class IndexOperatorTests
{
    [TestMethod]
    [DataRow("bhid,bhjd->bhij", new[] { 2, 3, 4, 5 }, new[] { 2, 3, 6, 5 }, 1)]
    [DataRow("bhij,bhjd->bihd", new[] { 2, 3, 4, 6 }, new[] { 2, 3, 6, 5 }, 2)]
    [DataRow("bld,dk->blk", new[] { 2, 4, 5 }, new[] { 5, 3 }, 1)]
    [DataRow("bij,bjk", new[] { 2, 3, 4 }, new[] { 2, 4, 5 }, 0)]
    [DataRow("...ij,...jk->...ik", new[] { 2, 3, 4 }, new[] { 2, 4, 5 }, 1)]
    [DataRow("ij,ij->", new[] { 3, 4 }, new[] { 3, 4 }, 0)]
    [DataRow("bihd,bjhd->bhij", new[] { 2, 4, 3, 5 }, new[] { 2, 6, 3, 5 }, 1)]
    [DataRow("ii,ij->j", new[] { 3, 3 }, new[] { 3, 4 }, 0)]
    [DataRow("ab,cd->dbca", new[] { 2, 3 }, new[] { 4, 5 }, 0)]
    public void EinsumAgreesWithOnnxRuntimeAndBecomesAProductWhereItIsOne(string equation, int[] a, int[] b, int products)
    {
        var random = new Random(1);
        Tensor x = OneNode.Floats(random, a), y = OneNode.Floats(random, b);
        var graph = new ModelGraph
        {
            Inputs = [new("x", ElementType.Float, x.Shape), new("y", ElementType.Float, y.Shape)],
            Outputs = [new("z", ElementType.Float, null)],
            Nodes = [Node.Create("e", "Einsum", ["x", "y"], ["z"]) with { Attributes = AttributeMap.Empty.With("equation", equation) }],
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
        };
        float[] expected = OnnxRuntimeOracle.Score(graph, false, ("x", x.Span<float>().ToArray(), a), ("y", y.Span<float>().ToArray(), b))[0];
        var prepared = PreparedModel.Prepare(graph, new() { SymbolicBatch = false }).Graph;
        Assert.AreEqual(products > 0, prepared.Nodes.Any(n => n.OpType == "MatMul") && prepared.Nodes.All(n => n.OpType != "Einsum"), equation);
        foreach (var program in new[] { Program.Compile(graph), Program.Compile(prepared) })
        {
            using var run = program.Rent(a, b);
            x.Span<float>().CopyTo(run.Input<float>(0));
            y.Span<float>().CopyTo(run.Input<float>(1));
            run.Execute();
            float[] found = run.Output<float>(0).ToArray();
            Assert.HasCount(expected.Length, found);
            for (int i = 0; i < found.Length; i++) Assert.AreEqual(expected[i], found[i], 1e-4, $"{equation}, element {i}");
        }
    }

    [TestMethod]
    [DataRow("i,j->ij,k")]
    [DataRow("i1,j->ij")]
    [DataRow("i,j->iij")]
    [DataRow("i,j->iz")]
    [DataRow("ab,j->abj")]
    [DataRow("i->i")]
    public void EquationsThatDoNotFitAreErrors(string equation)
    {
        var node = Node.Create("e", "Einsum", ["x", "y"], ["z"]) with { Attributes = AttributeMap.Empty.With("equation", equation) };
        var error = Assert.ThrowsExactly<ModelFormatException>(() => OneNode.Run(node, [Tensor.Create([1f, 2], 2), Tensor.Create([1f, 2], 2)]));
        StringAssert.Contains(error.Message, "equation");
    }

    [TestMethod]
    [DataRow("GatherElements", 3L)]
    [DataRow("GatherElements", -4L)]
    [DataRow("GatherND", 3L)]
    [DataRow("ScatterElements", 3L)]
    [DataRow("ScatterND", -4L)]
    public void AnIndexOutsideIsAnErrorThatNamesIt(string op, long index)
    {
        Tensor x = Tensor.Create([1f, 2, 3], 3), indices = op.EndsWith("ND", StringComparison.Ordinal) ? Tensor.Create([index], 1, 1) : Tensor.Create([index], 1);
        Tensor[] inputs = op.StartsWith('S') ? [x, indices, Tensor.Create([9f], 1)] : [x, indices];
        string[] names = [.. inputs.Select((_, i) => $"x{i}")];
        var error = Assert.ThrowsExactly<ModelFormatException>(() => OneNode.Run(Node.Create("pick", op, names, ["y"]), inputs));
        StringAssert.Contains(error.Message, $"'pick' ({op}): index {index} lies outside the 3 entries of axis 0");
    }

    [TestMethod]
    public void TopKOrdersEqualElementsByIndexAndNaNLast()
    {
        Tensor x = Tensor.Create([2f, float.NaN, 5, 2, 5, -1, 2], 7), k = Tensor.Create([7L], 1);
        var node = Node.Create("top", "TopK", ["x", "k"], ["v", "i"]);
        float[] values = OneNode.Run(node, [x, k], constant: [1]).Span<float>().ToArray();
        CollectionAssert.AreEqual(new[] { 5f, 5, 2, 2, 2, -1, float.NaN }, values);
        long[] indices = OneNode.Run(node, [x, k], constant: [1], output: 1).Span<long>().ToArray();
        CollectionAssert.AreEqual(new[] { 2L, 4, 0, 3, 6, 5, 1 }, indices);
    }

    [TestMethod]
    public void PartsAndRepeatsOfAShapeCarryItsSymbols()
    {
        // A batch that is not known goes through Shape, Split, Concat and Reshape.
        var graph = new ModelGraph
        {
            Inputs = [new("x", ElementType.Float, new TensorShape(new Dimension("N"), 6))],
            Outputs = [new("y", ElementType.Float, null)],
            Nodes =
            [
                Node.Create("shape", "Shape", ["x"], ["s"]),
                Node.Create("split", "Split", ["s", "ones"], ["n", "c"]),
                Node.Create("join", "Concat", ["n", "two", "three"], ["t"]) with { Attributes = AttributeMap.Empty.With("axis", 0) },
                Node.Create("reshape", "Reshape", ["x", "t"], ["r"]),
                Node.Create("tile", "Tile", ["r", "repeats"], ["y"]),
            ],
            Initializers = ImmutableDictionary<string, Tensor>.Empty.Add("ones", Tensor.Create([1L, 1], 2)).Add("two", Tensor.Create([2L], 1)).Add("three", Tensor.Create([3L], 1)).Add("repeats", Tensor.Create([1L, 2, 1], 3)),
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
        };
        Assert.AreEqual("Float[N,4,3]", MLNet.Quantization.Ops.GraphInference.Infer(graph)["y"].ToString());
        using var run = Program.Compile(graph).Rent([2, 6]);
        for (int i = 0; i < 12; i++) run.Input<float>(0)[i] = i;
        run.Execute();
        CollectionAssert.AreEqual(new float[] { 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 6, 7, 8, 9, 10, 11 }, run.Output<float>(0).ToArray());
    }
}
