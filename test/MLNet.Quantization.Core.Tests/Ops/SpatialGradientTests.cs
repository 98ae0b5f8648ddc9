using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>Gradients of convolutions, pools and normalizations against central differences, and their forward pass against the step that scores.</summary>
[TestClass]
public sealed class SpatialGradientTests
{
    private readonly Random _random = new(12);

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    public void ConvTranspose(int threads)
    {
        Check(threads, "ConvTranspose", [], [2, 3, 3, 4], [3, 2, 2, 3], [2]);
        Check(threads, "ConvTranspose", [("strides", [2, 3]), ("pads", [1, 0, 0, 1]), ("dilations", [1, 2])], [2, 2, 3, 4], [2, 3, 3, 2], [3]);
        Check(threads, "ConvTranspose", [("group", [2]), ("strides", [2, 2]), ("output_padding", [1, 0])], [3, 4, 3, 2], [4, 3, 3, 3]);
        Check(threads, "ConvTranspose", [("group", [3])], [2, 3, 5], [3, 1, 3], [3]);
        Check(threads, "ConvTranspose", [], [2, 3, 5], [3, 2, 1]);
        Check(threads, "ConvTranspose", [("strides", [1, 2, 1])], [1, 2, 2, 3, 2], [2, 1, 2, 2, 2]);
    }

    /// <summary>Shapes around the widths of vectors; group = channels in every form.</summary>
    [TestMethod]
    [DataRow(1)]
    [DataRow(3)]
    public void Conv(int threads)
    {
        foreach (int width in new[] { 1, 2, 7, 8, 9, 17, 33 })
        {
            Check(threads, "Conv", [("group", [2]), ("pads", [1, 1, 1, 1])], [2, 2, 3, width], [2, 1, 3, 3], [2]);
            Check(threads, "Conv", [("pads", [0, 2, 1, 1])], [3, 2, 2, width], [3, 2, 2, 2]);
        }
        Check(threads, "Conv", [("group", [3]), ("strides", [2, 2]), ("pads", [1, 1, 0, 1])], [2, 3, 6, 7], [3, 1, 3, 3]);
        Check(threads, "Conv", [("group", [3]), ("dilations", [2, 3]), ("pads", [2, 3, 2, 3])], [2, 3, 6, 7], [3, 1, 3, 3]);
        Check(threads, "Conv", [("group", [2]), ("pads", [3, 0, 4, 0])], [2, 2, 3, 5], [4, 1, 2, 3], [4]);
        Check(threads, "Conv", [("group", [2]), ("pads", [1, 1, 1, 1, 1, 1])], [2, 2, 3, 4, 5], [2, 1, 2, 3, 3], [2]);
        Check(threads, "Conv", [], [2, 3, 4, 5], [1, 3, 2, 2], [1]);
        Check(threads, "Conv", [], [2, 3, 4, 5], [1, 3, 1, 1]);
        Check(threads, "Conv", [("strides", [2, 2])], [2, 3, 5, 5], [4, 3, 1, 1]);
    }

    [TestMethod]
    public void Normalizations()
    {
        Check(1, "LayerNormalization", [], [3, 7], [7], [7]);
        Check(1, "LayerNormalization", [("axis", [1])], [2, 3, 5], [3, 5]);
        Check(1, "LayerNormalization", [], [2, 3, 17], [1], [1]);
        Check(1, "InstanceNormalization", [], [2, 3, 4, 5], [3], [3]);
        Check(1, "InstanceNormalization", [], [2, 2, 9], [2], [2]);
        Check(1, "GroupNormalization", [("num_groups", [2])], [2, 4, 3, 3], [2], [2]);
        Check(1, "GroupNormalization", 21, [("num_groups", [2])], [2, 4, 3, 3], [4], [4]);
    }

    [TestMethod]
    public void StatisticsOfALayerAreDifferentiableToo() =>
        GradientCheck.Run(Node.Create("n", "LayerNormalization", ["x", "s", "b"], ["y", "mean", "factor"]), [[3, 6], [6], [6]], _random);

    [TestMethod]
    public void GlobalMaxPool()
    {
        Check(1, "GlobalMaxPool", [], [2, 3, 4, 5]);
        Check(1, "GlobalMaxPool", [], [2, 3, 1]);
    }

    private void Check(int threads, string type, (string Name, long[] Values)[] attributes, params int[][] inputDims) => Check(threads, type, 17, attributes, inputDims);

    private void Check(int threads, string type, int opset, (string Name, long[] Values)[] attributes, params int[][] inputDims)
    {
        var map = AttributeMap.Empty;
        foreach (var (name, values) in attributes) map = name is "group" or "axis" or "num_groups" ? map.With(name, values[0]) : map.With(name, values.ToImmutableArray());
        var node = Node.Create("n", type, [.. inputDims.Select((_, i) => $"x{i}")], ["y"]) with { Attributes = map };
        GradientCheck.Run(node, inputDims, _random, opset: opset, threads: threads);
        ForwardIsWhatScores(node, opset, inputDims, threads);
    }

    private void ForwardIsWhatScores(Node node, int opset, int[][] inputDims, int threads)
    {
        Values<float>[] inputs = [.. inputDims.Select(d => new Values<float>(d))];
        foreach (var x in inputs)
            for (int i = 0; i < x.Count; i++) x.Data[i] = (float)(_random.NextDouble() - 0.5);
        var context = new OpContext(node, opset, [.. inputs.Select(v => ValueFact.Of(Tensor.Create(v.Data, v.Dims)))]);
        var op = OperatorSet.For(node);
        var expected = Evaluator.Evaluate(op, context)[0];
        var y = new Values<float>(expected.Dims);
        ((IDifferentiable)op).Forward(new TapeNode<float>(context, inputs, [y], new(threads)));
        for (int i = 0; i < y.Count; i++) Assert.AreEqual(expected.Span<float>()[i], y.Data[i], 1e-5f * Math.Max(1, Math.Abs(y.Data[i])), $"{node.OpType}, element {i}");
    }
}
