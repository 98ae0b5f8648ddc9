using System.Collections.Immutable;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>Loop and Scan, and what follows on shapes that only the data tells.</summary>
[TestClass]
public sealed class LoopTests
{
    private static readonly TensorShape Number = TensorShape.FromDims((ReadOnlySpan<int>)[1]);

    /// <summary>x [2] and n [1], the number of iterations as a float: x grows by w in each, the sums are stacked, and what comes of them is bounded.</summary>
    private static ModelGraph Sums() => Graph(
        [
            Node.Create("count", "Cast", ["n"], ["trips"]) with { Attributes = AttributeMap.Empty.With("to", (long)ElementType.Int64) },
            Node.Create("sums", "Loop", ["trips", "", "x"], ["last", "stack"]) with
            {
                Attributes = AttributeMap.Empty.With("body", Body(
                    ["i", "c", "a"], [Node.Create("keep", "Identity", ["c"], ["c_out"]), Node.Create("grow", "Add", ["a", "w"], ["b"]), Node.Create("copy", "Identity", ["b"], ["s"])], ["c_out", "b", "s"])),
            },
            Node.Create("bound", "Relu", ["stack"], ["y"]),
            Node.Create("both", "Add", ["y", "x"], ["z"]),
        ],
        ["last", "y", "z"], ("w", Tensor.Create([1f, -2f], 2)));

    private static ModelGraph Graph(Node[] nodes, string[] outputs, params (string Name, Tensor Value)[] constants) => new()
    {
        Name = "g",
        Inputs = [new("x", ElementType.Float, new(new Dimension("N"))), new("n", ElementType.Float, Number)],
        Outputs = [.. outputs.Select(o => new ValueInfo(o, ElementType.Float, null))],
        Nodes = [.. nodes],
        Initializers = constants.ToImmutableDictionary(c => c.Name, c => c.Value, StringComparer.Ordinal),
        OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
        Metadata = ModelMetadata.Empty with { IrVersion = 8 },
    };

    private static ModelGraph Body(string[] inputs, Node[] nodes, string[] outputs) => new()
    {
        Name = "body",
        Inputs = [new(inputs[0], ElementType.Int64, TensorShape.Scalar), new(inputs[1], ElementType.Bool, TensorShape.Scalar), .. inputs.Skip(2).Select(i => new ValueInfo(i, ElementType.Float, null))],
        Outputs = [.. outputs.Select((o, i) => new ValueInfo(o, i == 0 ? ElementType.Bool : ElementType.Float, i == 0 ? TensorShape.Scalar : null))],
        Nodes = [.. nodes],
    };

    private static float[][] Score(ProgramRun run, float[] x, float n)
    {
        x.CopyTo(run.Input<float>(0));
        run.Input<float>(1)[0] = n;
        run.Execute();
        return [.. Enumerable.Range(0, 3).Select(i => run.Output<float>(i).ToArray())];
    }

    [TestMethod]
    public void IterationsThatTheDataCountsAreThoseOfOnnxRuntime()
    {
        var graph = Sums();
        using var oracle = new OnnxRuntimeOracle(graph, false);
        var program = Program.Compile(PreparedModel.Prepare(graph).Graph);
        using var run = program.Rent([2], [1]);
        foreach (float n in new float[] { 3, 1, 70, 3 })
        {
            float[][] expected = oracle.Score(("x", [5, 6], [2]), ("n", [n], [1])), found = Score(run, [5, 6], n);
            CollectionAssert.AreEqual(new[] { (int)n, 2 }, run.OutputShape(1));
            for (int o = 0; o < 3; o++) CollectionAssert.AreEqual(expected[o], found[o], $"{n} iterations, output {o}");
        }
    }

    [TestMethod]
    public void NoIterationLeavesWhatWasAndStacksNothing()
    {
        using var run = Program.Compile(Sums()).Rent([2], [1]);
        foreach (float n in new float[] { 0, -1, 2, 0 })
        {
            float[][] found = Score(run, [5, 6], n);
            CollectionAssert.AreEqual(n < 1 ? new float[] { 5, 6 } : [7, 2], found[0]);
            CollectionAssert.AreEqual(new[] { (int)Math.Max(0, n), 2 }, run.OutputShape(2));
        }
    }

    [TestMethod]
    public void ManyThreadsCountDifferently()
    {
        var program = Program.Compile(Sums());
        Parallel.For(0, 200, i =>
        {
            using var run = program.Rent([2], [1]);
            for (int n = i % 5; n < 8; n += 3)
            {
                float[][] found = Score(run, [i, 1], n);
                CollectionAssert.AreEqual(new float[] { i + n, 1 - (2 * n) }, found[0]);
                Assert.HasCount(2 * n, found[2]);
            }
        });
    }

    [TestMethod]
    public void AShapeThatDependsOnDataIsToldAfterARunOnly()
    {
        using var run = Program.Compile(Sums()).Rent([2], [1]);
        Assert.ThrowsExactly<UnsupportedOperatorException>(() => run.OutputShape(1));
        Score(run, [1, 2], 4);
        CollectionAssert.AreEqual(new[] { 4, 2 }, run.OutputShape(2));
    }

    [TestMethod]
    public void AConstantCountIsPlannedBeforehand()
    {
        var graph = Sums();
        graph = graph with { Nodes = [.. graph.Nodes.Skip(1)], Initializers = graph.Initializers.Add("trips", Tensor.Scalar(3L)) };
        using var run = Program.Compile(graph).Rent([2], [1]);
        CollectionAssert.AreEqual(new[] { 3, 2 }, run.OutputShape(1));
        CollectionAssert.AreEqual(new float[] { 6, 4, 7, 2, 8, 0 }, Score(run, [5, 6], 0)[1]);
    }

    [TestMethod]
    public void ATapSeesWhatComesAfterALoop()
    {
        var program = Program.Compile(Sums(), new() { Watched = ["x", "stack", "y"] });
        using var run = program.Rent([2], [1]);
        new float[] { 5, 6 }.CopyTo(run.Input<float>(0));
        run.Input<float>(1)[0] = 2;
        var tap = new CountingTap();
        run.Execute(tap);
        CollectionAssert.AreEqual(new[] { "0:5,6", "1:6,4,7,2", "2:6,4,7,2" }, tap.Seen);
    }

    [TestMethod]
    public void ALoopThatDoesNotEndIsNamed()
    {
        foreach (string condition in new[] { "", "yes" })
        {
            var graph = Sums();
            graph = graph with { Nodes = [.. graph.Nodes.Skip(1).Select(n => n.OpType == "Loop" ? n with { Inputs = ["", condition, "x"], Outputs = ["last"] } : n).Where(n => n.OpType == "Loop")], Outputs = [graph.Outputs[0]] };
            var body = (ModelGraph)graph.Nodes[0].Attributes.Find("body")!;
            body = body with { Outputs = [.. body.Outputs.Take(2)] };
            graph = graph with { Nodes = [graph.Nodes[0] with { Attributes = AttributeMap.Empty.With("body", body) }], Initializers = graph.Initializers.Add("yes", Tensor.Scalar(true)) };
            var program = Program.Compile(graph with { Inputs = [graph.Inputs[0]] });
            using var run = program.Rent([2]);
            var e = Assert.ThrowsExactly<UnsupportedOperatorException>(() => run.Execute());
            Assert.AreEqual("sums", e.NodeName);
            StringAssert.Contains(e.Message, "1048576");
        }
    }

    [TestMethod]
    public void ACarriedValueMayGrowWhileAConditionHolds()
    {
        // a = [x, x, ...] until its sum reaches n.
        var graph = Graph(
            [
                Node.Create("grow", "Loop", ["", "yes", "x"], ["a"]) with
                {
                    Attributes = AttributeMap.Empty.With("body", Body(
                        ["i", "c", "v"],
                        [
                            Node.Create("more", "Concat", ["v", "x"], ["w"]) with { Attributes = AttributeMap.Empty.With("axis", 0) },
                            Node.Create("sum", "ReduceSum", ["w"], ["s"]) with { Attributes = AttributeMap.Empty.With("keepdims", 0) },
                            Node.Create("limit", "Squeeze", ["n"], ["l"]), Node.Create("less", "Less", ["s", "l"], ["c_out"]),
                        ],
                        ["c_out", "w"])),
                },
                Node.Create("twice", "Add", ["a", "a"], ["y"]),
            ],
            ["y", "a", "y2"], ("yes", Tensor.Scalar(true)));
        graph = graph with { Nodes = graph.Nodes.Add(Node.Create("minus", "Neg", ["y"], ["y2"])) };
        using var oracle = new OnnxRuntimeOracle(graph, false);
        using var run = Program.Compile(graph).Rent([2], [1]);
        foreach (float n in new float[] { 1, 10, 31, 10 })
        {
            float[][] expected = oracle.Score(("x", [1, 2], [2]), ("n", [n], [1])), found = Score(run, [1, 2], n);
            for (int o = 0; o < 3; o++) CollectionAssert.AreEqual(expected[o], found[o]);
        }
    }

    [TestMethod]
    public void BoundsThatAreComputedFromDataAreWaitedFor()
    {
        var graph = Graph(
            [
                Node.Create("count", "Cast", ["n"], ["end"]) with { Attributes = AttributeMap.Empty.With("to", (long)ElementType.Int64) },
                Node.Create("first", "Slice", ["x", "zero", "end"], ["y"]),
                Node.Create("size", "Concat", ["end", "one"], ["shape"]) with { Attributes = AttributeMap.Empty.With("axis", 0) },
                Node.Create("column", "Reshape", ["y", "shape"], ["z"]), Node.Create("minus", "Neg", ["z"], ["m"]),
            ],
            ["y", "z", "m"], ("zero", Tensor.Create([0L], 1)), ("one", Tensor.Create([1L], 1)));
        using var oracle = new OnnxRuntimeOracle(graph, false);
        using var run = Program.Compile(graph).Rent([5], [1]);
        for (int n = 1; n <= 5; n++)
        {
            float[][] expected = oracle.Score(("x", [1, 2, 3, 4, 5], [5]), ("n", [n], [1])), found = Score(run, [1, 2, 3, 4, 5], n);
            CollectionAssert.AreEqual(new[] { n, 1 }, run.OutputShape(2));
            for (int o = 0; o < 3; o++) CollectionAssert.AreEqual(expected[o], found[o]);
        }
    }

    [TestMethod]
    public void PlacesThatAreNotZeroAreFoundAndGathered()
    {
        var graph = Graph(
            [
                Node.Create("where", "NonZero", ["x"], ["places"]), Node.Create("list", "Squeeze", ["places", "zero"], ["at"]), Node.Create("pick", "Gather", ["x", "at"], ["y"]),
                Node.Create("above", "Greater", ["x", "n"], ["is"]), Node.Create("keep", "Compress", ["x", "is"], ["z"]), Node.Create("both", "Neg", ["z"], ["m"]),
            ],
            ["y", "z", "m"], ("zero", Tensor.Create([0L], 1)));
        using var oracle = new OnnxRuntimeOracle(graph, false);
        using var run = Program.Compile(graph).Rent([5], [1]);
        foreach (float[] x in new float[][] { [0, 1, -0f, 3, -4], [0, 0, 0, 0, 0], [1, 2, 3, 4, 5] })
        {
            float[][] expected = oracle.Score(("x", x, [5]), ("n", [2], [1])), found = Score(run, x, 2);
            for (int o = 0; o < 3; o++) CollectionAssert.AreEqual(expected[o], found[o]);
        }
    }

    [TestMethod]
    [DataRow(0, 0, 0, 0)]
    [DataRow(1, 0, 1, 0)]
    [DataRow(1, 1, -1, 1)]
    [DataRow(-1, 1, 0, 0)]
    public void ScanAlongAnyAxisInAnyDirectionIsOnnxRuntimes(int inputAxis, int inputDirection, int outputAxis, int outputDirection)
    {
        int[] dims = [2, 3, 4], slice = [.. dims.Where((_, i) => i != (inputAxis + 3) % 3)];
        var body = new ModelGraph
        {
            Name = "body",
            Inputs = [new("a", ElementType.Float, TensorShape.FromDims(slice)), new("s", ElementType.Float, TensorShape.FromDims(slice))],
            Outputs = [new("b", ElementType.Float, null), new("t", ElementType.Float, null)],
            Nodes = [Node.Create("add", "Add", ["a", "s"], ["b"]), Node.Create("neg", "Neg", ["b"], ["t"])],
        };
        var graph = new ModelGraph
        {
            Name = "g",
            Inputs = [new("x", ElementType.Float, TensorShape.FromDims(dims))],
            Outputs = [new("y", ElementType.Float, null), new("z", ElementType.Float, null)],
            Nodes =
            [
                Node.Create("scan", "Scan", ["start", "x"], ["y", "z"]) with
                {
                    Attributes = AttributeMap.Empty.With("body", body).With("num_scan_inputs", 1)
                        .With("scan_input_axes", ImmutableArray.Create((long)inputAxis)).With("scan_input_directions", ImmutableArray.Create((long)inputDirection))
                        .With("scan_output_axes", ImmutableArray.Create((long)outputAxis)).With("scan_output_directions", ImmutableArray.Create((long)outputDirection)),
                },
            ],
            Initializers = ImmutableDictionary<string, Tensor>.Empty.Add("start", OneNode.Floats(new(3), slice)),
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
            Metadata = ModelMetadata.Empty with { IrVersion = 8 },
        };
        float[] x = OneNode.Floats(new(4), dims).Span<float>().ToArray();
        float[][] expected = OnnxRuntimeOracle.Score(graph, false, ("x", x, dims));
        using var run = Program.Compile(graph).Rent(dims);
        x.CopyTo(run.Input<float>(0));
        run.Execute();
        for (int o = 0; o < 2; o++) CollectionAssert.AreEqual(expected[o], run.Output<float>(o).ToArray());
    }

    private sealed class CountingTap : IValueTap
    {
        public List<string> Seen { get; } = [];

        public void Observe(int watched, in TensorView value) => Seen.Add($"{watched}:{string.Join(',', value.Read<float>().ToArray())}");
    }
}
