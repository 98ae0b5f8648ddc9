using System.Collections.Immutable;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests.Pipeline;

[TestClass]
public class BatchCheckTests
{
    private const int Features = 12, Classes = 3;

    [TestMethod]
    [DataRow(1, Features)]
    [DataRow(-1, Features)]
    [DataRow(1, -1)]
    [DataRow(0, -1)]
    public void ReshapeToARowKeepsTheBatch(int first, int second)
    {
        var prepared = PreparedModel.Prepare(Network([1, Features, 1], first, second));
        Assert.AreEqual("[N,12,1]", prepared.Graph.Inputs[0].Shape!.ToString());
        using var run = Program.Compile(prepared.Graph).Rent([5, Features, 1]);
        run.Execute();
        CollectionAssert.AreEqual(new[] { 5, Classes }, run.OutputShape(0));
    }

    [TestMethod]
    public void RowsThatMixStayOne()
    {
        // One softmax over the batch; a product of the rows with each other; all rows in one.
        AssertStaysOne([Node.Create("s", "Softmax", ["x"], ["y"]) with { Attributes = AttributeMap.Empty.With("axis", 0) }]);
        AssertStaysOne([Node.Create("t", "Transpose", ["x"], ["t"]), Node.Create("m", "MatMul", ["x", "t"], ["m"]), Node.Create("c", "Concat", ["x", "m"], ["y"]) with { Attributes = AttributeMap.Empty.With("axis", 1) }]);
        AssertStaysOne([Node.Create("r", "Reshape", ["x", "flat"], ["y"])]);
    }

    [TestMethod]
    public void IntegerInputsAreTriedToo()
    {
        var embedded = new ModelGraph
        {
            Inputs = [new("ids", ElementType.Int64, TensorShape.FromDims([1, 4])), new("x", ElementType.Float, TensorShape.FromDims([1, 8]))],
            Outputs = [new("y", ElementType.Float, null)],
            Nodes =
            [
                Node.Create("g", "Gather", ["table", "ids"], ["e"]), Node.Create("f", "Flatten", ["e"], ["f"]),
                Node.Create("a", "Add", ["f", "x"], ["s"]), Node.Create("m", "MatMul", ["s", "w"], ["y"]),
            ],
            Initializers = ImmutableDictionary<string, Tensor>.Empty.Add("table", Values(10, 2)).Add("w", Values(8, Classes)),
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 13),
        };
        var prepared = PreparedModel.Prepare(embedded);
        Assert.AreEqual("[N,4]", prepared.Graph.Inputs[0].Shape!.ToString());
        Assert.AreEqual("[N,8]", prepared.Graph.Inputs[1].Shape!.ToString());

        // The rows of one integer each are told apart.
        var mixed = embedded with
        {
            Inputs = [new("ids", ElementType.Int64, TensorShape.FromDims([1, 1]))],
            Nodes = [Node.Create("c", "Cast", ["ids"], ["c"]) with { Attributes = AttributeMap.Empty.With("to", 1) }, Node.Create("s", "Softmax", ["c"], ["y"]) with { Attributes = AttributeMap.Empty.With("axis", 0) }],
        };
        Assert.AreEqual("[1,1]", PreparedModel.Prepare(mixed).Graph.Inputs[0].Shape!.ToString());
    }

    private static void AssertStaysOne(ImmutableArray<Node> nodes)
    {
        var graph = Network([1, Features], 1, 1) with { Nodes = nodes };
        Assert.AreEqual("[1,12]", PreparedModel.Prepare(graph).Graph.Inputs[0].Shape!.ToString());
    }

    private static ModelGraph Network(int[] input, long first, long second) => new()
    {
        Inputs = [new("x", ElementType.Float, TensorShape.FromDims(input))],
        Outputs = [new("y", ElementType.Float, null)],
        Nodes = [Node.Create("reshape", "Reshape", ["x", "row"], ["r"]), Node.Create("dense", "Gemm", ["r", "w"], ["y"])],
        Initializers = ImmutableDictionary<string, Tensor>.Empty.Add("row", Tensor.Create([first, second], 2))
            .Add("flat", Tensor.Create([-1L], 1)).Add("w", Values(Features, Classes)),
        OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 13),
    };

    private static Tensor Values(int rows, int columns) => Tensor.Create(Enumerable.Range(0, rows * columns).Select(i => MathF.Sin(i)).ToArray(), rows, columns);
}
