using System.Collections.Immutable;
using System.Runtime.InteropServices;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests.Pipeline;

/// <summary>
/// The final scores of whole models have one hash, whatever the threads and the batch; .ci/run compares it between processes that are
/// told to use other instructions (<see cref="ScoreHashes"/>).
/// </summary>
[TestClass]
public sealed class ScoreHashTests
{
    private const int Features = 257, Hidden = 67, Classes = 13, Rows = 131;
    private static readonly int[] Threads = [1, 2], Batches = [1, 7, 64];

    [TestMethod]
    public void Network()
    {
        HashAllKinds("network", Dense());
        HashAllKinds("functions", Functions());
    }

    [TestMethod]
    public void LinearModel() => HashAllKinds("linear model", Linear());

    [TestMethod]
    public void SharedNetwork()
    {
        var rows = SharedRows.Mnist();
        HashOfAllForms("mnist, float", o => Program.Compile(rows.Model.Graph, o), Images);
        HashOfAllForms("mnist, static", QuantizationRecipe.QuantizeStatic(rows.Model, rows.Calibrate(..1000)).Compile, Images);
        HashOfAllForms("mnist, dynamic", QuantizationRecipe.QuantizeDynamic(rows.Model).Compile, Images);

        float[] Images(Program program, int first, int count)
        {
            using ProgramRun run = program.Rent(SharedRows.ShapeOf(program.Inputs[0], count));
            rows.Values.AsSpan(first * rows.Features, count * rows.Features).CopyTo(run.Input<float>(0));
            run.Execute();
            return run.Output<float>(0).ToArray();
        }
    }

    [TestMethod]
    public void LinearModelOnSparseRows()
    {
        QuantizedModel linear = QuantizationRecipe.QuantizeDynamic(PreparedModel.Prepare(Linear()));
        HashOfAllForms("linear model, sparse", linear.Compile, (program, first, count) =>
        {
            var rows = new SparseRows();
            for (int row = first; row < first + count; row++)
            {
                int[] columns = [.. Enumerable.Range(0, Features).Where(c => (c * 31 + row * 17) % 23 == 0)];
                rows.Add(columns, Values(row, columns.Length));
            }
            using ProgramRun run = program.Rent([count, Features]);
            run.UseSparse(0, rows);
            run.Execute();
            return run.Output<float>(0).ToArray();
        });
    }

    private static void HashAllKinds(string name, ModelGraph graph)
    {
        PreparedModel model = PreparedModel.Prepare(graph);
        float[] data = Values(9, Rows * Features);
        var session = new CalibrationSession(model, CalibrationOptions.Default);
        using (ProgramRun run = session.Program.Rent([Rows, Features]))
        {
            data.CopyTo(run.Input<float>(0));
            session.Observe(run, 0);
        }
        HashOfAllForms($"{name}, float", o => Program.Compile(model.Graph, o), Score);
        HashOfAllForms($"{name}, static", QuantizationRecipe.QuantizeStatic(model, session.Finish()).Compile, Score);
        HashOfAllForms($"{name}, dynamic", QuantizationRecipe.QuantizeDynamic(model).Compile, Score);

        float[] Score(Program program, int first, int count)
        {
            using ProgramRun run = program.Rent([count, Features]);
            data.AsSpan(first * Features, count * Features).CopyTo(run.Input<float>(0));
            run.Execute();
            return run.Output<float>(0).ToArray();
        }
    }

    private static void HashOfAllForms(string name, Func<ProgramOptions, Program> compile, Func<Program, int, int, float[]> score) =>
        HashOfAllForms(name, compile, score, Rows, Batches);

    /// <summary>Records the hash of the scores of some rows, which all threads and batches have to agree on.</summary>
    internal static void HashOfAllForms(string name, Func<ProgramOptions, Program> compile, Func<Program, int, int, float[]> score, int rows, int[] batches)
    {
        byte[]? expected = null;
        foreach (int threads in Threads)
        {
            Program program = compile(new() { MaxThreads = threads });
            foreach (int batch in batches)
            {
                var scores = new List<float>();
                for (int row = 0; row < rows; row += batch) scores.AddRange(score(program, row, Math.Min(batch, rows - row)));
                byte[] bytes = MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(scores)).ToArray();
                expected ??= bytes;
                CollectionAssert.AreEqual(expected, bytes, $"{name}: {threads} threads, batches of {batch}");
            }
        }
        ScoreHashes.Record(name.Replace(' ', '_'), expected);
    }

    /// <summary>What stays float between the layers, and behind the last.</summary>
    private static ModelGraph Functions() => Graph(
        [
            Node.Create("dense1", "Gemm", ["x", "w1", "b1"], ["h1"]),
            Node.Create("leaky", "LeakyRelu", ["h1"], ["r1"]),
            Node.Create("dense2", "Gemm", ["r1", "w2", "b2"], ["h2"]),
            Node.Create("tanh", "Tanh", ["h2"], ["r2"]),
            Node.Create("dense3", "Gemm", ["r2", "w3", "b3"], ["h3"]),
            Node.Create("sigmoid", "Sigmoid", ["h3"], ["r3"]),
            Node.Create("dense4", "Gemm", ["r3", "w4", "b4"], ["h4"]),
            Node.Create("softmax", "Softmax", ["h4"], ["y"]),
        ],
        ("w1", Features, Hidden), ("w2", Hidden, Hidden), ("w3", Hidden, Hidden), ("w4", Hidden, Classes));

    private static ModelGraph Dense() => Graph(
        [
            Node.Create("dense1", "Gemm", ["x", "w1", "b1"], ["h"]),
            Node.Create("relu", "Relu", ["h"], ["r"]),
            Node.Create("dense2", "Gemm", ["r", "w2", "b2"], ["y"]),
        ],
        ("w1", Features, Hidden), ("w2", Hidden, Classes));

    private static ModelGraph Linear() => Graph([Node.Create("linear", "Gemm", ["x", "w1", "b1"], ["y"])], ("w1", Features, Classes));

    private static ModelGraph Graph(ImmutableArray<Node> nodes, params (string Name, int Rows, int Columns)[] weights) => new()
    {
        Inputs = [new("x", ElementType.Float, new TensorShape(new Dimension("N"), Features))],
        Outputs = [new("y", ElementType.Float, null)],
        Nodes = [.. nodes],
        Initializers = weights.Aggregate(ImmutableDictionary<string, Tensor>.Empty, (all, w) => all
            .Add(w.Name, Tensor.Create(Values(w.Rows, w.Rows * w.Columns), w.Rows, w.Columns))
            .Add($"b{w.Name[1..]}", Tensor.Create(Values(w.Columns, w.Columns), w.Columns))),
        OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
    };

    private static float[] Values(int seed, int count)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() * 2 - 1)];
    }
}
