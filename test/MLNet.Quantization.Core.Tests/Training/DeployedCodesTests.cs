using MLNet.Quantization.Graph;
using MLNet.Quantization.Numerics;
using MLNet.Quantization.Pipeline;
using MLNet.Quantization.Training;

namespace MLNet.Quantization.Tests.Training;

/// <summary>What is trained is what is deployed: each activation code of the INT8 program beside the pass that learned.</summary>
[TestClass]
public sealed class DeployedCodesTests
{
    private const int Train = 512, Held = 2000;

    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("perceptron", 8)]
    [DataRow("perceptron", 4)]
    [DataRow("normalized", 8)]
    [DataRow("normalized", 4)]
    [DataRow("depthwise", 8)]
    [DataRow("depthwise", 4)]
    [DataRow("LSTM", 8)]
    [DataRow("LSTM", 4)]
    [DataRow("bidirectional LSTM", 8)]
    [DataRow("GRU", 8)]
    [DataRow("RNN", 8)]
    public void OneCodeOfTenThousandDiffersByOneStepAtMost(string name, int bits)
    {
        var (graph, row) = NetworkOf(name);
        var (x, labels) = Rows(row.Aggregate(1, (a, b) => a * b));
        int width = x.Length / (Train + Held);
        var prepared = PreparedModel.Prepare(graph, new() { FoldNormalization = false }).Graph;
        var network = new QuantizationAwareNetwork(prepared, new() { WeightBits = bits, ActivationBits = bits }, Network.OutputFor(prepared, TrainingLoss.CrossEntropy), 0);
        var data = new ArrayData([x[..(Train * width)]], [row], labels[..Train], 32, 1);
        new Trainer(network, new CrossEntropy(), data, null, new() { Epochs = 4, LearningRate = 3e-3 }).Run();

        var (codes, differing, farthest, classes) = Compare(network, new([x[(Train * width)..]], [row], labels[Train..], 250, null));
        TestContext.WriteLine(FormattableString.Invariant($"{name}, {bits} bits: {differing} of {codes} codes differ, by {farthest} at most; {classes} of {Held} classes are the same"));
        Assert.IsGreaterThan(10_000, codes, "there is something to compare");
        Assert.IsLessThanOrEqualTo(codes / 10_000, differing);
        Assert.IsLessThanOrEqualTo(1, farthest);
        Assert.IsGreaterThanOrEqualTo(0.999 * Held, classes);
    }

    private static (ModelGraph Graph, int[] Row) NetworkOf(string name) => name switch
    {
        "perceptron" => (TrainedNetworks.Perceptron(1), [784]),
        "normalized" => (TrainedNetworks.Normalized(1), [2, 12, 12]),
        "depthwise" => (TrainedNetworks.Depthwise(1), [2, 12, 12]),
        _ => (TrainedNetworks.Recurrent(1, name.Split(' ')[^1], name.StartsWith("bidirectional", StringComparison.Ordinal)), [9, 32]),
    };

    /// <summary>Noise around one of five patterns, whose number is the class.</summary>
    private static (float[] X, float[] Labels) Rows(int width)
    {
        var random = new SplitMix64(3);
        float[][] patterns = [.. Enumerable.Range(0, 5).Select(_ => Noise(width, 1))];
        float[] labels = [.. Enumerable.Range(0, Train + Held).Select(i => (float)(i % 5))];
        return ([.. labels.SelectMany(label => Noise(width, 3).Zip(patterns[(int)label], (a, b) => a + b))], labels);

        float[] Noise(int count, double span) => [.. Enumerable.Range(0, count).Select(_ => (float)(span * ((2 * random.NextUniform()) - 1)))];
    }

    private static (long Codes, long Differing, int Farthest, int SameClasses) Compare(QuantizationAwareNetwork network, ArrayData data)
    {
        var rounded = network.Graph.Graph.Nodes.Where(n => n.OpType == "FakeQuantizeActivation").ToDictionary(n => n.Inputs[0], n => n.Outputs[0], StringComparer.Ordinal);
        var deployed = network.Convert().Graph;
        var quantizers = deployed.Nodes.Where(n => n.OpType == "QuantizeLinear").Select(n => (Value: ValueOf(deployed, n), Node: n)).Where(q => rounded.ContainsKey(q.Value)).ToArray();
        Assert.HasCount(rounded.Count, quantizers);
        Assert.IsEmpty(quantizers.Where(q => network.Graph.Graph.Initializers.ContainsKey(q.Value)));
        var outputs = deployed.Outputs.Select(o => o.Name).Append(network.Graph.Output).Distinct().Select(name => new ValueInfo(name, ElementType.Float, null));
        var program = QuantizedModel.FromGraph(deployed with
        {
            Outputs = [.. outputs, .. quantizers.Select(q => new ValueInfo(q.Node.Outputs[0], deployed.Initializers[q.Node.Inputs[2]].Type, null))],
        }).Compile();

        long codes = 0, differing = 0;
        int farthest = 0, same = 0;
        foreach (var batch in data.Read(0))
        {
            var tape = network.TapeOf(batch.InputDims);
            batch.CopyTo(tape);
            tape.Forward();
            using var run = program.Rent(batch.InputDims);
            ((float[])batch.Inputs[0]).AsSpan(0, run.Input<float>(0).Length).CopyTo(run.Input<float>(0));
            run.Execute();
            foreach (var (value, node) in quantizers)
            {
                float scale = deployed.Initializers[node.Inputs[1]].Span<float>()[0];
                var zero = deployed.Initializers[node.Inputs[2]];
                int zeroPoint = zero.Type == ElementType.Int8 ? (sbyte)zero.Bytes.Span[0] : zero.Bytes.Span[0];
                float[] learned = tape.Value(rounded[value])!.Data;
                var scored = run.Output<byte>(program.Outputs.Select(o => o.Name).ToList().IndexOf(node.Outputs[0]));
                for (int i = 0; i < learned.Length; i++)
                {
                    int code = zero.Type == ElementType.Int8 ? (sbyte)scored[i] : scored[i], distance = Math.Abs((int)MathF.Round(learned[i] / scale) + zeroPoint - code);
                    if (distance > 0) differing++;
                    farthest = Math.Max(farthest, distance);
                }
                codes += learned.Length;
            }
            var scores = run.Output<float>(program.Outputs.Select(o => o.Name).ToList().IndexOf(network.Graph.Output));
            int classes = tape.Output.Count / batch.Rows;
            for (int r = 0; r < batch.Rows; r++)
                if (ClassOf(tape.Output.Data.AsSpan(r * classes, classes)) == ClassOf(scores.Slice(r * classes, classes))) same++;
        }
        return (codes, differing, farthest, same);
    }

    /// <summary>What a quantizer reads, before the Clip that keeps codes of few bits within their grid.</summary>
    private static string ValueOf(ModelGraph graph, Node quantizer) =>
        graph.Nodes.FirstOrDefault(n => n.OpType == "Clip" && n.Outputs[0] == quantizer.Inputs[0])?.Inputs[0] ?? quantizer.Inputs[0];

    private static int ClassOf(ReadOnlySpan<float> scores) => scores.IndexOf(MaxOf(scores));

    private static float MaxOf(ReadOnlySpan<float> scores)
    {
        float max = scores[0];
        foreach (float score in scores) max = Math.Max(max, score);
        return max;
    }
}
