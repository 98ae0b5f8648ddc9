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

    /// <summary>The pool of 2 x 2 in float32 has a way of its own: there and back it is what doubles give, equal pixels among them.</summary>
    [TestMethod]
    [DataRow(2, 2)]
    [DataRow(4, 6)]
    [DataRow(14, 14)]
    [DataRow(28, 28)]
    [DataRow(6, 34)]
    [DataRow(5, 7)]
    public void PoolOfPairsInSinglesIsThatInDoubles(int height, int width)
    {
        var random = new Random(height);
        int[] dims = [3, 2, height, width];
        double[] x = [.. Enumerable.Range(0, 6 * height * width).Select(_ => (double)random.Next(-4, 4))], g = [.. Enumerable.Range(0, 6 * (height / 2) * (width / 2)).Select(_ => (double)random.Next(1, 9))];
        var (y, gradient) = Pool(x, g);
        var (singleY, singleGradient) = Pool(Array.ConvertAll(x, v => (float)v), Array.ConvertAll(g, v => (float)v));
        CollectionAssert.AreEqual(y, Array.ConvertAll(singleY, v => (double)v));
        CollectionAssert.AreEqual(gradient, Array.ConvertAll(singleGradient, v => (double)v));

        (T[] Y, T[] Gradient) Pool<T>(T[] from, T[] back) where T : unmanaged, System.Numerics.IFloatingPointIeee754<T>
        {
            var node = Node.Create("n", "MaxPool", ["x"], ["y"]) with
            {
                Attributes = AttributeMap.Empty.With("kernel_shape", ImmutableArray.Create(2L, 2)).With("strides", ImmutableArray.Create(2L, 2)),
            };
            var tape = new TapeNode<T>(new OpContext(node, 17, [new ValueFact(ElementType.Float, TensorShape.FromDims(dims))]), [new Values<T>(dims, from)], [new Values<T>(3, 2, height / 2, width / 2)], new(2)) { IsFresh = true };
            tape.OutputGradients[0] = new([3, 2, height / 2, width / 2], back);
            tape.InputGradients[0] = new(dims);
            Array.Fill(tape.InputGradients[0]!.Data, T.NaN);
            var op = (IDifferentiable)OperatorSet.For(node);
            op.Forward(tape);
            op.Backward(tape);
            return (tape.Output().Data, tape.InputGradients[0]!.Data);
        }
    }
}
