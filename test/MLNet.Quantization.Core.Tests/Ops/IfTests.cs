using System.Collections.Immutable;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Tests.Onnx;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>If with all that a branch may return and capture.</summary>
[TestClass]
public sealed class IfTests
{
    private static readonly Dimension N = new("N");

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void ABranchMayReturnACaptureOrAConstantAsItIs(bool condition)
    {
        var then = Body([], ["x"]);
        var otherwise = Body([], ["own"], ("own", Tensor.Create<float>([7, 8], 2)));
        CollectionAssert.AreEqual(condition ? new float[] { 1, 2 } : [7, 8], Score(Choice(then, otherwise, new(2L)), condition, [1, 2]));
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void AnInnerIfCapturesThroughTheOuter(bool condition)
    {
        var add = Body([Node.Create("a", "Add", ["x", "k"], ["r"])], ["r"]);
        var subtract = Body([Node.Create("s", "Sub", ["x", "own"], ["r"])], ["r"]);
        var nested = Body([If("inner", "c", add, subtract)], ["inner_y"], ("own", Tensor.Scalar(1f)));
        // The name 'own' is the outer branch's constant, two graphs up from where it is read.
        CollectionAssert.AreEqual(condition ? new float[] { 101, 102 } : [-1, -2], Score(Choice(nested, Body([Node.Create("n", "Sub", ["zero", "x"], ["r"])], ["r"]), new(N)), condition, [1, 2]));
    }

    [TestMethod]
    public void BranchesOfSeveralRanksRunWhereTheConditionFollowsFromConstants()
    {
        // What exporters write for squeeze: one branch drops an axis, the other keeps it; the condition is a constant of the model.
        var drop = Body([Node.Create("q", "Squeeze", ["x", "axes"], ["r"])], ["r"], ("axes", Tensor.Create<long>([1], 1)));
        var keep = Body([Node.Create("i", "Identity", ["x"], ["r"])], ["r"]);
        foreach (bool condition in (bool[])[true, false])
        {
            var graph = Choice(drop, keep, new(N, 1));
            graph = graph with { Inputs = [graph.Inputs[1]], Initializers = graph.Initializers.Add("c", Tensor.Create([condition], 1)) };
            Assert.AreEqual(condition ? "[N]" : "[N,1]", GraphInference.Infer(graph)["choose_y"].Shape!.ToString());
            using var run = Program.Compile(graph).Rent([3, 1]);
            new float[] { 1, 2, 3 }.CopyTo(run.Input<float>(0));
            run.Execute();
            CollectionAssert.AreEqual(condition ? new[] { 3 } : [3, 1], run.OutputShape(0));
            CollectionAssert.AreEqual(new float[] { 1, 2, 3 }, run.Output<float>(0).ToArray());
        }
    }

    [TestMethod]
    public void BranchesOfSeveralRanksRunWhereTheDataDecides()
    {
        var drop = Body([Node.Create("q", "Squeeze", ["x", "axes"], ["r"])], ["r"], ("axes", Tensor.Create<long>([1], 1)));
        using var run = Program.Compile(Choice(drop, Body([], ["x"]), new(N, 1))).Rent([], [3, 1]);
        foreach (bool condition in (bool[])[true, false, true])
        {
            run.Input<bool>(0)[0] = condition;
            new float[] { 1, 2, 3 }.CopyTo(run.Input<float>(1));
            run.Execute();
            CollectionAssert.AreEqual(condition ? new[] { 3 } : [3, 1], run.OutputShape(0));
            CollectionAssert.AreEqual(new float[] { 1, 2, 3 }, run.Output<float>(0).ToArray());
        }
    }

    [TestMethod]
    public void AConstantChoiceBetweenConstantsIsAConstant()
    {
        var graph = Choice(Body([], ["a"], ("a", Tensor.Scalar(1f))), Body([], ["b"], ("b", Tensor.Scalar(2f))), new(2L));
        graph = graph with { Inputs = [graph.Inputs[1]], Initializers = graph.Initializers.Add("c", Tensor.Scalar(false)) };
        using var run = Program.Compile(graph).Rent([2]);
        run.Execute();
        Assert.AreEqual(2f, run.Output<float>(0)[0]);
    }

    [TestMethod]
    public void AShapeChosenByAConstantFollowsTheBatch()
    {
        var shape = Body([Node.Create("s", "Shape", ["x"], ["r"])], ["r"]);
        var graph = Choice(shape, Body([], ["flat"], ("flat", Tensor.Create<long>([-1], 1))), new(N, 2));
        graph = graph with
        {
            Inputs = [graph.Inputs[1]],
            Initializers = graph.Initializers.Add("c", Tensor.Scalar(false)),
            Nodes = graph.Nodes.Add(Node.Create("r", "Reshape", ["x", "choose_y"], ["z"])),
            Outputs = [new("z", ElementType.Float, null)],
        };
        using var run = Program.Compile(graph).Rent([3, 2]);
        CollectionAssert.AreEqual(new[] { 6 }, run.OutputShape(0));
    }

    [TestMethod]
    public void AConditionOfSeveralElementsIsNamed()
    {
        var graph = Choice(Body([], ["x"]), Body([], ["x"]), new(2L));
        graph = graph with { Inputs = [new("c", ElementType.Bool, new(2L)), graph.Inputs[1]] };
        Assert.AreEqual("choose", Assert.ThrowsExactly<ModelFormatException>(() => Program.Compile(graph)).NodeName);
    }

    private static float[] Score(ModelGraph graph, bool condition, float[] x)
    {
        using var run = Program.Compile(graph).Rent([], [x.Length]);
        run.Input<bool>(0)[0] = condition;
        x.CopyTo(run.Input<float>(1));
        run.Execute();
        float[] result = run.Output<float>(0).ToArray();
        Assert.AreEqual(0, AllocatedBytes.Of(() =>
        {
            for (int i = 0; i < 50; i++) run.Execute();
        }));
        return result;
    }

    private static ModelGraph Choice(ModelGraph then, ModelGraph otherwise, TensorShape x) => new()
    {
        Inputs = [new("c", ElementType.Bool, TensorShape.Scalar), new("x", ElementType.Float, x)],
        Outputs = [new("choose_y", ElementType.Float, null)],
        Nodes = [If("choose", "c", then, otherwise)],
        Initializers = SmallModels.Constants(("k", Tensor.Scalar(100f)), ("zero", Tensor.Scalar(0f))),
        OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
    };

    private static Node If(string name, string condition, ModelGraph then, ModelGraph otherwise) =>
        Node.Create(name, "If", [condition], [$"{name}_y"]) with { Attributes = AttributeMap.Empty.With("then_branch", then).With("else_branch", otherwise) };

    private static ModelGraph Body(Node[] nodes, string[] outputs, params ReadOnlySpan<(string Name, Tensor Value)> constants) => new()
    {
        Name = "body",
        Inputs = [],
        Outputs = [.. outputs.Select(o => new ValueInfo(o, ElementType.Float, null))],
        Nodes = [.. nodes],
        Initializers = SmallModels.Constants(constants),
    };
}
