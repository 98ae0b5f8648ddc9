using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>LSTM, GRU and RNN while training: forward the very bits that score, back what central differences say.</summary>
[TestClass]
public sealed class RecurrentGradientTests
{
    [TestMethod]
    [DataRow("LSTM")]
    [DataRow("GRU")]
    [DataRow("RNN")]
    public void BackIsWhatDifferencesSay(string cell)
    {
        for (int seed = 0; seed < 24; seed++)
        {
            var random = new Random(seed);
            var layer = new RecurrentNode(cell, seed, random.Next(1, 5), random.Next(1, 4), random.Next(1, 4), random.Next(1, 5), usual: seed % 2 == 0, batchFirst: seed % 3 == 0);
            var (node, tensors) = Inputs(layer);
            var constants = new Dictionary<int, Tensor>();
            if (layer.Lengths is not null) constants[4] = tensors[4]!;
            try
            {
                GradientCheck.Run(node, [.. tensors.Select(t => t?.Dims)], random, constants, tolerance: 1e-5, threads: 1 + (seed % 3));
            }
            catch (AssertFailedException failed)
            {
                throw new AssertFailedException($"{layer}: {failed.Message}", failed);
            }
        }
    }

    [TestMethod]
    [DataRow("LSTM")]
    [DataRow("GRU")]
    [DataRow("RNN")]
    public void ForwardIsWhatScoresBitForBit(string cell)
    {
        for (int seed = 0; seed < 40; seed++)
        {
            var random = new Random(seed);
            var layer = new RecurrentNode(cell, seed, random.Next(1, 9), random.Next(1, 40), random.Next(1, 20), random.Next(1, 40), usual: seed % 2 == 0, batchFirst: seed % 3 == 0);
            var (node, tensors) = Inputs(layer);
            var expected = Evaluator.Evaluate(OperatorSet.For(node), new OpContext(node, 14, [.. tensors.Select(t => t is null ? null : ValueFact.Of(t))]));
            foreach (int threads in new[] { 1, 3 })
            {
                ValueFact?[] facts = [.. tensors.Select((t, i) => t is null ? null : i == 4 ? ValueFact.Of(t) : new ValueFact(t.Type, t.Shape))];
                Values<float>?[] inputs = [.. tensors.Select(t => t is { Type: ElementType.Float } ? new Values<float>(t.Dims, t.Span<float>().ToArray()) : null)];
                Values<float>[] outputs = [.. expected.Select(e => new Values<float>(e.Dims))];
                foreach (var output in outputs) Array.Fill(output.Data, float.NaN);
                var tape = new TapeNode<float>(new OpContext(node, 14, [.. facts]), inputs, outputs, new(threads));
                ((IDifferentiable)OperatorSet.For(node)).Forward(tape);
                for (int o = 0; o < outputs.Length; o++) CollectionAssert.AreEqual(expected[o].Span<float>().ToArray(), outputs[o].Data, $"{layer}, output {o}");
            }
        }
    }

    [TestMethod]
    public void LengthsBeyondTheDataAreRefused()
    {
        var layer = new RecurrentNode("LSTM", 1, 3, 2, 2, 2) { Lengths = [3, 4] };
        var (node, tensors) = Inputs(layer);
        Assert.Contains("sequence_lens of row 1 is 4, the data has 3 steps", Assert.ThrowsExactly<ModelFormatException>(() => GradientCheck.Run(node, [.. tensors.Select(t => t?.Dims)], new(1), new Dictionary<int, Tensor> { [4] = tensors[4]! })).Message);
    }

    /// <summary>The node and its inputs by position, null where omitted.</summary>
    private static (Node Node, Tensor?[] Inputs) Inputs(RecurrentNode layer)
    {
        var graph = layer.Graph();
        var fed = graph.Inputs.Zip(layer.Fed()).ToDictionary(p => p.First.Name, p => p.Second);
        return (graph.Nodes[0], [.. graph.Nodes[0].Inputs.Select(name => name.Length == 0 ? null : fed.GetValueOrDefault(name) ?? graph.Initializers[name])]);
    }
}
