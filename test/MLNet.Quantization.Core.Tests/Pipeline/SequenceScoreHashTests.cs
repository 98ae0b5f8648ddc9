using System.Collections.Immutable;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Passes;
using MLNet.Quantization.Pipeline;
using MLNet.Quantization.Tests.Ops;

namespace MLNet.Quantization.Tests.Pipeline;

/// <summary>The same as <see cref="ScoreHashTests"/> for recurrent layers.</summary>
[TestClass]
public sealed class SequenceScoreHashTests
{
    private const int Rows = 65, Steps = 11, Features = 9, Units = 21, Classes = 6;

    [TestMethod]
    public void SmallNetwork()
    {
        var model = PreparedModel.Prepare(Small());
        var session = new CalibrationSession(model, CalibrationOptions.Default);
        using (var run = session.Program.Rent([Rows, Steps, Features]))
        {
            Fill(run, 0, Rows);
            session.Observe(run, 0);
        }
        var static8 = QuantizationRecipe.QuantizeStatic(model, session.Finish());
        CollectionAssert.AreEquivalent(
            new[] { "QuantizedGRU", "QuantizedGRU", "QuantizedLSTM", "QuantizedRNN", "QuantizedLinear" },
            LowerQuantized.Apply(static8.Graph).Nodes.Where(n => n.Domain.Length > 0).Select(n => n.OpType).ToArray());
        ScoreHashTests.HashOfAllForms("small recurrent, float", o => Program.Compile(model.Graph, o), Score, Rows, [1, 7, 64]);
        ScoreHashTests.HashOfAllForms("small recurrent, static", static8.Compile, Score, Rows, [1, 7, 64]);
        ScoreHashTests.HashOfAllForms("small recurrent, dynamic", QuantizationRecipe.QuantizeDynamic(model).Compile, Score, Rows, [1, 7, 64]);
    }

    private static float[] Score(Program program, int first, int count)
    {
        using var run = program.Rent([count, Steps, Features]);
        Fill(run, first, count);
        run.Execute();
        return run.Output<float>(0).ToArray();
    }

    private static void Fill(ProgramRun run, int first, int count)
    {
        for (int row = 0; row < count; row++)
        {
            var random = new Random(first + row);
            foreach (ref float v in run.Input<float>(0).Slice(row * Steps * Features, Steps * Features)) v = (random.NextSingle() * 4) - 2;
        }
    }

    /// <summary>An LSTM in both directions, a GRU of each form, an RNN, and a dense layer on the last state.</summary>
    private static ModelGraph Small()
    {
        var random = new Random(3);
        var nodes = new List<Node> { Node.Create("turn", "Transpose", ["x"], ["steps_first"]) with { Attributes = Order(1, 0, 2) } };
        var constants = ImmutableDictionary.CreateBuilder<string, Tensor>();
        string value = "steps_first";
        int size = Features;
        Layer("LSTM", 4, 2, AttributeMap.Empty.With("direction", "bidirectional"));
        Layer("GRU", 3, 1, AttributeMap.Empty.With("linear_before_reset", 1));
        Layer("GRU", 3, 1, AttributeMap.Empty.With("direction", "reverse"));
        constants.Add("wr", OneNode.Floats(random, 1, Units, size));
        constants.Add("rr", OneNode.Floats(random, 1, Units, Units));
        nodes.Add(Node.Create("last", "RNN", [value, "wr", "rr"], ["", "state"]) with { Attributes = AttributeMap.Empty.With("hidden_size", Units) });
        constants.Add("axis", Tensor.Create([0L], 1));
        nodes.Add(Node.Create("squeeze", "Squeeze", ["state", "axis"], ["vector"]));
        constants.Add("wd", OneNode.Floats(random, Units, Classes));
        constants.Add("bd", OneNode.Floats(random, Classes));
        nodes.Add(Node.Create("dense", "Gemm", ["vector", "wd", "bd"], ["y"]));
        return new()
        {
            Inputs = [new("x", ElementType.Float, new TensorShape(new Dimension("N"), Steps, Features))],
            Outputs = [new("y", ElementType.Float, null)],
            Nodes = [.. nodes],
            Initializers = constants.ToImmutable(),
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
        };

        void Layer(string op, int gates, int directions, AttributeMap attributes)
        {
            string name = $"{op}{nodes.Count}";
            constants.Add($"{name}_w", OneNode.Floats(random, directions, gates * Units, size));
            constants.Add($"{name}_r", OneNode.Floats(random, directions, gates * Units, Units));
            constants.Add($"{name}_b", OneNode.Floats(random, directions, 2 * gates * Units));
            constants.Add($"{name}_shape", Tensor.Create([0L, 0, directions * Units], 3));
            nodes.Add(Node.Create(name, op, [value, $"{name}_w", $"{name}_r", $"{name}_b"], [$"{name}_y"]) with { Attributes = attributes.With("hidden_size", Units) });
            nodes.Add(Node.Create($"{name}_turn", "Transpose", [$"{name}_y"], [$"{name}_turned"]) with { Attributes = Order(0, 2, 1, 3) });
            nodes.Add(Node.Create($"{name}_join", "Reshape", [$"{name}_turned", $"{name}_shape"], [value = $"{name}_out"]));
            size = directions * Units;
        }

        static AttributeMap Order(params long[] order) => AttributeMap.Empty.With("perm", order.ToImmutableArray());
    }
}
