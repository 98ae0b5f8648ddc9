using System.Collections.Immutable;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Tests.Execution;

/// <summary>Random graphs of steps that may alias or overwrite: a run must give what evaluating each node on fresh memory gives.</summary>
[TestClass]
public class MemoryPlannerTests
{
    [TestMethod]
    public void RandomGraphsScoreAsIfEveryValueHadItsOwnMemory()
    {
        for (int seed = 0; seed < 300; seed++)
        {
            var graph = RandomGraph(new Random(seed));
            var program = Program.Compile(graph);
            using var run = program.Rent([3, 4], [3, 4]);
            var x = Enumerable.Range(0, 12).Select(i => (float)(i - 5)).ToArray();
            var y = Enumerable.Range(0, 12).Select(i => (float)(7 - i * i)).ToArray();
            x.CopyTo(run.Input<float>(0));
            y.CopyTo(run.Input<float>(1));
            for (int repeat = 0; repeat < 2; repeat++)
            {
                run.Execute();
                var expected = Evaluate(graph, x, y);
                for (int o = 0; o < graph.Outputs.Length; o++)
                    CollectionAssert.AreEqual(expected[graph.Outputs[o].Name].Span<float>().ToArray(), run.Output<float>(o).ToArray(), $"seed {seed}, output {o}, run {repeat}");
            }
        }
    }

    [TestMethod]
    public void ALongChainNeedsOnlyItsInputItsOutputAndWhatLivesBetween()
    {
        var nodes = Enumerable.Range(0, 50).Select(i => Node.Create($"n{i}", "Gemm", [i == 0 ? "x" : $"v{i - 1}", "w"], [$"v{i}"]));
        var graph = Graph([.. nodes], ["v49"]);
        using var run = Program.Compile(graph).Rent([3, 4], [3, 4]);
        // Two inputs, the output, and at most two values between, of 48 bytes each, which take 64.
        Assert.IsLessThanOrEqualTo(5 * 64, run.ArenaBytes);
    }

    private static ModelGraph RandomGraph(Random random)
    {
        var values = new List<string> { "x", "y", "c" };
        var nodes = new List<Node>();
        for (int i = 0; i < random.Next(1, 15); i++)
        {
            string a = values[random.Next(values.Count)], output = $"v{i}";
            nodes.Add(random.Next(3) switch
            {
                0 => Node.Create($"relu{i}", "Relu", [a], [output]),
                1 => Node.Create($"same{i}", "Identity", [a], [output]),
                _ => Node.Create($"gemm{i}", "Gemm", [a, "w", values[random.Next(values.Count)]], [output]),
            });
            values.Add(output);
        }
        var outputs = values.Where(v => v != "c").OrderBy(_ => random.Next()).Take(random.Next(1, 4)).ToArray();
        return Graph(nodes, outputs);
    }

    private static ModelGraph Graph(IReadOnlyList<Node> nodes, string[] outputs) => new()
    {
        Inputs = [new("x", ElementType.Float, new TensorShape(3, 4)), new("y", ElementType.Float, new TensorShape(3, 4))],
        Outputs = [.. outputs.Select(o => new ValueInfo(o, ElementType.Float, null))],
        Nodes = [.. nodes],
        Initializers = ImmutableDictionary<string, Tensor>.Empty
            .Add("w", Tensor.Create([1f, 0, -1, 0, 0, 1, 0, 0, 0, 0.5f, 1, 0, 0, 0, 0, -1], 4, 4))
            .Add("c", Tensor.Create([1f, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, -12], 3, 4)),
        OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
    };

    private static Dictionary<string, Tensor> Evaluate(ModelGraph graph, float[] x, float[] y)
    {
        var values = graph.Initializers.ToDictionary();
        values["x"] = Tensor.Create(x, 3, 4);
        values["y"] = Tensor.Create(y, 3, 4);
        foreach (var node in graph.Nodes)
        {
            var context = new OpContext(node, graph.Opset, [.. node.Inputs.Select(i => ValueFact.Of(values[i]))]);
            values[node.Outputs[0]] = Evaluator.Evaluate(OperatorSet.For(node), context)[0];
        }
        return values;
    }
}
