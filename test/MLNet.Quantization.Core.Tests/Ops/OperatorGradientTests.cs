using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>Every operator with a gradient against central differences in double, and its forward pass against the step that scores.</summary>
[TestClass]
public sealed class OperatorGradientTests
{
    private readonly Random _random = new(11);

    [TestMethod]
    [DataRow("Add")]
    [DataRow("Sub")]
    [DataRow("Mul")]
    [DataRow("Div")]
    public void OfTwo(string type)
    {
        int[][][] shapes = [[[3, 5], [3, 5]], [[2, 3, 19], [19]], [[2, 3, 4], [3, 1]], [[4], [2, 3, 4]], [[2, 1, 3], [2, 5, 1]], [[5], []], [[1], [3]], [[37], [37]]];
        foreach (int[][] inputs in shapes) Check(type, Attributes(), inputs);
    }

    [TestMethod]
    [DataRow("Relu")]
    [DataRow("Sigmoid")]
    [DataRow("Tanh")]
    [DataRow("LeakyRelu")]
    [DataRow("Elu")]
    [DataRow("HardSwish")]
    [DataRow("HardSigmoid")]
    [DataRow("Identity")]
    [DataRow("Exp")]
    [DataRow("Neg")]
    [DataRow("Abs")]
    [DataRow("Reciprocal")]
    [DataRow("Softplus")]
    [DataRow("Erf")]
    [DataRow("Gelu")]
    public void OfOne(string type)
    {
        Check(type, Attributes(), [3, 7]);
        Check(type, Attributes(), [1]);
        Check(type, Attributes(), [2, 3, 19]);
    }

    [TestMethod]
    public void Clip() => CheckWith(new() { [1] = Tensor.Scalar(-0.52f), [2] = Tensor.Scalar(0.53f) }, "Clip", Attributes(), [3, 17], [], []);

    [TestMethod]
    public void Softmax()
    {
        Check("Softmax", Attributes(), [3, 7]);
        Check("Softmax", Attributes(("axis", 1L)), [2, 3, 4]);
    }

    /// <summary>Where they are defined: above 0.</summary>
    [TestMethod]
    [DataRow("Sqrt")]
    [DataRow("Log")]
    public void OfOneAboveZero(string type) => GradientCheck.Run(NodeOf(type, 1, Attributes()), [[3, 7]], _random, arrange: Positive);

    [TestMethod]
    public void GeluByTanh() => Check("Gelu", Attributes(("approximate", "tanh")), [2, 3, 19]);

    /// <summary>The slopes that float32 computes are those of the definitions.</summary>
    [TestMethod]
    [DataRow("Erf", "")]
    [DataRow("Gelu", "none")]
    [DataRow("Gelu", "tanh")]
    [DataRow("Softplus", "")]
    public void SlopesInSinglesAreThoseInDoubles(string type, string approximate)
    {
        var node = NodeOf(type, 1, approximate.Length > 0 ? Attributes(("approximate", approximate)) : Attributes());
        double[] x = [.. Enumerable.Range(0, 321).Select(i => (i - 160) / 20.0)];
        double[] expected = Slopes(x), found = Array.ConvertAll(Slopes(Array.ConvertAll(x, v => (float)v)), v => (double)v);
        for (int i = 0; i < x.Length; i++) Assert.AreEqual(expected[i], found[i], 2e-6, $"at {x[i]}");

        T[] Slopes<T>(T[] at) where T : unmanaged, System.Numerics.IFloatingPointIeee754<T>
        {
            var tape = new TapeNode<T>(new OpContext(node, 20, [new ValueFact(ElementType.Float, new(at.Length))]), [new Values<T>([at.Length], at)], [new Values<T>(at.Length)], new(1));
            tape.OutputGradients[0] = new([at.Length], [.. at.Select(_ => T.One)]);
            tape.InputGradients[0] = new(at.Length);
            var op = (IDifferentiable)OperatorSet.For(node);
            op.Forward(tape);
            op.Backward(tape);
            return tape.InputGradients[0]!.Data;
        }
    }

    [TestMethod]
    public void LogSoftmax()
    {
        Check("LogSoftmax", Attributes(), [3, 7]);
        Check("LogSoftmax", Attributes(("axis", 1L)), [2, 3, 4]);
    }

    [TestMethod]
    public void PRelu()
    {
        Check("PRelu", Attributes(), [3, 5], [3, 5]);
        Check("PRelu", Attributes(), [2, 3, 19], [3, 1]);
        Check("PRelu", Attributes(), [2, 7], [1]);
    }

    [TestMethod]
    public void Pow()
    {
        CheckWith(new() { [1] = Tensor.Scalar(2f) }, "Pow", Attributes(), [3, 7], []);
        CheckWith(new() { [1] = Tensor.Scalar(3f) }, "Pow", Attributes(), [3, 7], []);
        CheckWith(new() { [1] = Tensor.Create([3L, -1], 2) }, "Pow", Attributes(), [3, 2], [2]);
        GradientCheck.Run(NodeOf("Pow", 2, Attributes()), [[2, 3, 4], [3, 1]], _random, arrange: Positive);
    }

    [TestMethod]
    public void ReduceSum()
    {
        Check("ReduceSum", Attributes(), [2, 3]);
        CheckWith(new() { [1] = Tensor.Create([1L], 1) }, "ReduceSum", Attributes(("keepdims", 0L)), [2, 3, 4], [1]);
        CheckWith(new() { [1] = Tensor.Create([0L, -1], 2) }, "ReduceSum", Attributes(), [2, 3, 4], [2]);
        Check("ReduceSum", Attributes(("noop_with_empty_axes", 1L)), [2, 3]);
        Check("ReduceSum", Attributes(), [2, 0, 3]);
    }

    [TestMethod]
    public void Slice()
    {
        CheckSlice([1, -1], [3, -5], [0, 2], [1, -1], 4, 3, 6);
        CheckSlice([0], [long.MaxValue], [-1], [3], 2, 7);
        CheckSlice([2], [2], [0], [1], 3, 2);
        CheckSlice([-1], [-100], [1], [-2], 2, 5, 3);

        void CheckSlice(long[] starts, long[] ends, long[] axes, long[] steps, params int[] x)
        {
            long[][] parts = [starts, ends, axes, steps];
            CheckWith(parts.Select((p, i) => (p, i)).ToDictionary(p => p.i + 1, p => Tensor.Create(p.p, p.p.Length)), "Slice", Attributes(), x, [starts.Length], [starts.Length], [starts.Length], [starts.Length]);
        }
    }

    [TestMethod]
    public void Split()
    {
        foreach (string[] outputs in new[] { new[] { "a", "b", "c" }, ["a", "", "c"] })
        {
            var node = Node.Create("n", "Split", ["x", "lengths"], outputs) with { Attributes = Attributes(("axis", 1L)) };
            GradientCheck.Run(node, [[2, 6, 3], [3]], _random, new Dictionary<int, Tensor> { [1] = Tensor.Create([2L, 3, 1], 3) });
        }
        GradientCheck.Run(Node.Create("n", "Split", ["x"], ["a", "b"]), [[4, 3]], _random);
    }

    [TestMethod]
    [DataRow("constant")]
    [DataRow("edge")]
    [DataRow("reflect")]
    public void Pad(string mode)
    {
        CheckWith(new() { [1] = Tensor.Create([0L, 1, 2, 1, 0, 2], 6) }, "Pad", Attributes(("mode", mode)), [2, 3, 4], [6]);
        CheckWith(new() { [1] = Tensor.Create([-1L, 2, 1, -1], 4), [2] = Tensor.Scalar(0.7f) }, "Pad", Attributes(("mode", mode)), [3, 4], [4], []);
    }

    [TestMethod]
    public void Copies()
    {
        CheckWith(new() { [1] = Tensor.Create([2L, 3, 4], 3) }, "Expand", Attributes(), [3, 1], [3]);
        CheckWith(new() { [1] = Tensor.Create([2L, 1, 3], 3) }, "Tile", Attributes(), [2, 3, 2], [3]);
        Check("DepthToSpace", Attributes(("blocksize", 2L)), [1, 8, 2, 3]);
        Check("DepthToSpace", Attributes(("blocksize", 2L), ("mode", "CRD")), [2, 4, 1, 2]);
        Check("SpaceToDepth", Attributes(("blocksize", 2L)), [1, 2, 4, 6]);
    }

    /// <summary>The mean is far larger than the deviation.</summary>
    [TestMethod]
    public void BatchNormalizationKeepsDigitsFarFromZero()
    {
        var random = new Random(3);
        float[] x = [.. Enumerable.Range(0, 64 * 5).Select(_ => 4096 + (0.01f * random.Next(100)))];
        double mean = x.Average(v => (double)v), variance = x.Average(v => (v - mean) * (v - mean));
        ValueFact?[] facts = [.. new[] { new[] { 64, 1, 5 }, [1], [1], [1], [1] }.Select(d => new ValueFact(ElementType.Float, TensorShape.FromDims(d)))];
        Values<float>[] inputs = [new([64, 1, 5], x), new([1], [1]), new([1], [0]), new([1], [0]), new([1], [1])];
        var tape = new TapeNode<float>(new OpContext(NodeOf("BatchNormalization", 5, Attributes()), 17, [.. facts]), inputs, [new Values<float>(64, 1, 5)], new(1));
        ((IDifferentiable)OperatorSet.For(tape.Context.Node)).Forward(tape);
        for (int i = 0; i < x.Length; i++) Assert.AreEqual((x[i] - mean) / Math.Sqrt(variance + 1e-5), tape.Output().Data[i], 2e-3);
    }

    private static void Positive(TapeNode<double> node)
    {
        foreach (ref double x in node.Input(0).Data.AsSpan()) x = Math.Abs(x);
    }

    [TestMethod]
    public void Movement()
    {
        CheckWith(new() { [1] = Tensor.Create([3L, -1], 2) }, "Reshape", Attributes(), [2, 3, 4], [2]);
        Check("Flatten", Attributes(), [2, 3, 4]);
        CheckWith(new() { [1] = Tensor.Create([1L], 1) }, "Squeeze", Attributes(), [2, 1, 4], [1]);
        CheckWith(new() { [1] = Tensor.Create([1L], 1) }, "Unsqueeze", Attributes(), [2, 4], [1]);
        Check("Transpose", Attributes(("perm", ImmutableArray.Create(2L, 0, 1))), [2, 3, 4]);
        Check("Transpose", Attributes(), [3, 5]);
        Check("Concat", Attributes(("axis", 1L)), [2, 3, 4], [2, 1, 4], [2, 2, 4]);
        Check("Concat", Attributes(("axis", -1L)), [2, 3], [2, 5]);
        CheckWith(new() { [1] = Tensor.Create([2L, 0, 2, -1], 2, 2) }, "Gather", Attributes(), [4, 3], [2, 2]);
        CheckWith(new() { [1] = Tensor.Create([1L, 1], 2) }, "Gather", Attributes(("axis", 1L)), [2, 3, 2], [2]);
    }

    [TestMethod]
    public void ReduceMean()
    {
        Check("ReduceMean", Attributes(), [2, 3]);
        Check("ReduceMean", Attributes(("axes", ImmutableArray.Create(1L)), ("keepdims", 0L)), [2, 3, 4]);
        Check("ReduceMean", Attributes(("axes", ImmutableArray.Create(0L, 2))), [2, 3, 4]);
    }

    [TestMethod]
    public void MatMul()
    {
        int[][][] shapes = [[[3, 4], [4, 5]], [[2, 3, 4], [4, 5]], [[2, 3, 4], [2, 4, 5]], [[2, 1, 3, 4], [3, 4, 2]], [[4], [4, 3]], [[3, 4], [4]], [[2, 3, 4], [1, 4, 2]]];
        foreach (int[][] inputs in shapes) Check("MatMul", Attributes(), inputs);
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(3)]
    public void Conv(int threads)
    {
        CheckOn(threads, "Conv", Attributes(), [2, 3, 5, 6], [4, 3, 3, 2], [4]);
        CheckOn(threads, "Conv", Attributes(("pads", ImmutableArray.Create(1L, 0, 2, 1)), ("strides", ImmutableArray.Create(2L, 1)), ("dilations", ImmutableArray.Create(1L, 2))), [3, 2, 6, 7], [3, 2, 3, 2], [3]);
        CheckOn(threads, "Conv", Attributes(("group", 2L), ("auto_pad", "SAME_UPPER"), ("strides", ImmutableArray.Create(2L, 2))), [2, 4, 5, 4], [6, 2, 3, 3]);
        CheckOn(threads, "Conv", Attributes(("group", 4L), ("pads", ImmutableArray.Create(1L, 1, 1, 1))), [2, 4, 5, 20], [4, 1, 3, 3], [4]);
        CheckOn(threads, "Conv", Attributes(("group", 2L)), [2, 2, 5], [4, 1, 3]);
        CheckOn(threads, "Conv", Attributes(), [2, 3, 4, 5], [4, 3, 1, 1], [4]);
        CheckOn(threads, "Conv", Attributes(("pads", ImmutableArray.Create(1L, 0, 0, 0, 1, 0)), ("strides", ImmutableArray.Create(1L, 2, 1))), [1, 2, 3, 4, 3], [2, 2, 2, 2, 3]);
    }

    [TestMethod]
    public void Pools()
    {
        foreach (string type in new[] { "MaxPool", "AveragePool" })
        {
            Check(type, Attributes(("kernel_shape", ImmutableArray.Create(2L, 2)), ("strides", ImmutableArray.Create(2L, 2))), [2, 3, 4, 6]);
            Check(type, Attributes(("kernel_shape", ImmutableArray.Create(3L, 2)), ("strides", ImmutableArray.Create(2L, 1)), ("pads", ImmutableArray.Create(1L, 0, 1, 1)), ("ceil_mode", 1L)), [1, 2, 5, 6]);
            Check(type, Attributes(("kernel_shape", ImmutableArray.Create(3L)), ("auto_pad", "SAME_LOWER")), [2, 2, 7]);
        }
        Check("AveragePool", Attributes(("kernel_shape", ImmutableArray.Create(3L, 3)), ("pads", ImmutableArray.Create(1L, 1, 1, 1)), ("count_include_pad", 1L)), [1, 2, 4, 5]);
        Check("GlobalAveragePool", Attributes(), [2, 3, 4, 5]);
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void BatchNormalization(bool training)
    {
        var variance = new Dictionary<int, Tensor> { [3] = Tensor.Create([0.1f, -0.2f, 0.3f], 3), [4] = Tensor.Create([0.5f, 1f, 2f], 3) };
        foreach (int[] x in new[] { new[] { 4, 3 }, [2, 3, 5], [3, 3, 2, 7] })
            GradientCheck.Run(NodeOf("BatchNormalization", 5, Attributes()), [x, [3], [3], [3], [3]], _random, variance, arrange: n => n.IsTraining = training);
    }

    /// <summary>With Relu and MaxPool behind it, joined.</summary>
    [TestMethod]
    [DataRow(0, 0)]
    [DataRow(2, 2)]
    [DataRow(3, 1)]
    public void BatchNormalizationWithWhatStandsBehindIt(int window, int stride)
    {
        int[] x = [3, 3, 4, 6];
        var pool = Node.Create("p", "MaxPool", ["y"], ["z"]) with
        {
            Attributes = Attributes(("kernel_shape", ImmutableArray.Create<long>(window, window)), ("strides", ImmutableArray.Create<long>(stride, stride)), ("auto_pad", "SAME_UPPER")),
        };
        var op = new NormalizedRelu(window == 0 ? null : new OpContext(pool, 17, [new ValueFact(ElementType.Float, TensorShape.FromDims(x))]));
        var statistics = new Dictionary<int, Tensor> { [3] = Tensor.Create([0.1f, -0.2f, 0.3f], 3), [4] = Tensor.Create([0.5f, 1f, 2f], 3) };
        foreach (bool training in new[] { true, false })
            GradientCheck.Run(NodeOf("BatchNormalization", 5, Attributes()), [x, [3], [3], [3], [3]], _random, statistics, op: op, arrange: n => n.IsTraining = training, threads: 2);
    }

    /// <summary>The standard's training_mode: running statistics are 0.9 of what they were and 0.1 of the batch's, the variance over all elements.</summary>
    [TestMethod]
    public void BatchNormalizationKeepsRunningStatistics()
    {
        var node = NodeOf("BatchNormalization", 5, Attributes());
        ValueFact?[] facts = [.. new[] { new[] { 2, 1, 2 }, [1], [1], [1], [1] }.Select(d => new ValueFact(ElementType.Float, TensorShape.FromDims(d)))];
        Values<float>[] inputs = [new([2, 1, 2], [1, 2, 3, 6]), new([1], [1]), new([1], [0]), new([1], [10]), new([1], [20])];
        var tape = new TapeNode<float>(new OpContext(node, 17, [.. facts]), inputs, [new Values<float>(2, 1, 2)], new(1));
        ((IDifferentiable)OperatorSet.For(node)).Forward(tape);
        Assert.AreEqual(9.3f, inputs[3].Data[0], 1e-5f);
        Assert.AreEqual(18.35f, inputs[4].Data[0], 1e-5f);
        Assert.AreEqual(0, tape.Output().Data.Sum(), 1e-5f);
    }

    [TestMethod]
    public void EveryOperatorWithAGradientIsCheckedHere()
    {
        string[] found = [.. OperatorSet.SupportedTypes.Where(t => OperatorSet.For(Node.Create("", t, [], [])) is IDifferentiable)];
        string[] expected =
        [
            "Abs", "Add", "AveragePool", "BatchNormalization", "Clip", "Concat", "Conv", "ConvTranspose", "DepthToSpace", "Div", "Elu", "Erf", "Exp", "Expand",
            "Flatten", "GRU", "Gather", "Gelu", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "GroupNormalization", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "LSTM", "LayerNormalization",
            "LeakyRelu", "Log", "LogSoftmax", "MatMul", "MaxPool", "Mul", "Neg", "PRelu", "Pad", "Pow", "RNN", "Reciprocal", "ReduceMean", "ReduceSum",
            "Relu", "Reshape", "Sigmoid", "Slice", "Softmax", "Softplus", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Tanh", "Tile", "Transpose",
            "Unsqueeze",
        ];
        CollectionAssert.AreEqual(expected, found);
    }

    private static AttributeMap Attributes(params (string Name, object Value)[] attributes)
    {
        var map = AttributeMap.Empty;
        foreach (var (name, value) in attributes)
            map = value switch { long l => map.With(name, l), string s => map.With(name, s), ImmutableArray<long> a => map.With(name, a), _ => throw new ArgumentException(name) };
        return map;
    }

    private static Node NodeOf(string type, int inputs, AttributeMap attributes) => Node.Create("n", type, [.. Enumerable.Range(0, inputs).Select(i => $"x{i}")], ["y"]) with { Attributes = attributes };

    private void Check(string type, AttributeMap attributes, params int[][] inputDims) => Check(type, attributes, [], inputDims, 1);

    private void CheckOn(int threads, string type, AttributeMap attributes, params int[][] inputDims) => Check(type, attributes, [], inputDims, threads);

    private void CheckWith(Dictionary<int, Tensor> constants, string type, AttributeMap attributes, params int[][] inputDims) => Check(type, attributes, constants, inputDims, 1);

    private void Check(string type, AttributeMap attributes, Dictionary<int, Tensor> constants, int[][] inputDims, int threads)
    {
        var node = NodeOf(type, inputDims.Length, attributes);
        GradientCheck.Run(node, inputDims, _random, constants, threads: threads);
        ForwardIsWhatScores(node, inputDims, constants, threads);
    }

    private void ForwardIsWhatScores(Node node, int[][] inputDims, Dictionary<int, Tensor> constants, int threads)
    {
        Tensor[] tensors = [.. inputDims.Select((d, i) => constants.GetValueOrDefault(i) ?? Tensor.Create([.. Enumerable.Range(0, d.Aggregate(1, (a, b) => a * b)).Select(_ => (float)(0.2 + _random.NextDouble()))], d))];
        var op = OperatorSet.For(node);
        var expected = Evaluator.Evaluate(op, new OpContext(node, 17, [.. tensors.Select(ValueFact.Of)]))[0];
        ValueFact?[] facts = [.. tensors.Select((t, i) => constants.ContainsKey(i) ? ValueFact.Of(t) : new ValueFact(t.Type, t.Shape))];
        var output = new Values<float>(expected.Dims);
        var tape = new TapeNode<float>(new OpContext(node, 17, [.. facts]), [.. tensors.Select(t => t.Type == ElementType.Float ? new Values<float>(t.Dims, t.Span<float>().ToArray()) : null)], [output], new(threads));
        ((IDifferentiable)op).Forward(tape);
        for (int i = 0; i < output.Count; i++) Assert.AreEqual(expected.Span<float>()[i], output.Data[i], 1e-5f * Math.Max(1, Math.Abs(output.Data[i])), $"{node.OpType}, element {i}");
    }
}
