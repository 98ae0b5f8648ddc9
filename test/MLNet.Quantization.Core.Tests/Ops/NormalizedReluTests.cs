using System.Collections.Immutable;
using System.Numerics;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>BatchNormalization, Relu and MaxPool joined, in float32 with the kernels that are for it alone, beside the three one after the other in double.</summary>
[TestClass]
public class NormalizedReluTests
{
    private readonly Random _random = new(11);

    private static readonly float[] _scales = [1.5f, -0.75f, 0f, -2f, 0.25f];

    [TestMethod]
    [DataRow(2, 2, 2, 6, false)]
    [DataRow(2, 2, 8, 8, false)]
    [DataRow(2, 2, 4, 14, true)]
    [DataRow(2, 2, 28, 28, true)]
    [DataRow(2, 2, 5, 8, false)]
    [DataRow(3, 2, 9, 11, false)]
    [DataRow(3, 1, 6, 10, true)]
    [DataRow(0, 0, 7, 9, false)]
    public void EqualsTheThreeOneAfterTheOther(int window, int stride, int height, int width, bool adds)
    {
        // Enough elements for more than one part.
        int rows = 8 + (70_000 / (height * width * _scales.Length));
        int[] dims = [rows, _scales.Length, height, width];
        var pool = Node.Create("p", "MaxPool", ["r"], ["z"]) with { Attributes = AttributeMap.Empty.With("kernel_shape", ImmutableArray.Create<long>(window, window)).With("strides", ImmutableArray.Create<long>(stride, stride)) };
        float[] x = [.. Enumerable.Range(0, dims.Aggregate(1, (a, b) => a * b)).Select(_ => (float)(3 + (2 * (_random.NextDouble() - 0.5))))];

        var input = Inputs<double>(dims, x);
        var normalization = NodeOf<double>("BatchNormalization", input, 1);
        var relu = NodeOf<double>("Relu", [normalization.Output()], 1);
        var last = window == 0 ? relu : TapeOf(pool, (IDifferentiable)OperatorSet.For(pool), [relu.Output()], 1);
        float[] g = [.. Enumerable.Range(0, last.Output().Count).Select(_ => (float)(_random.NextDouble() - 0.5))];
        TapeNode<double>[] row = window == 0 ? [normalization, relu] : [normalization, relu, last];
        foreach (var node in row) Operator(node).Forward(node);
        last.OutputGradients[0] = ValuesOf<double>(last.Output().Dims, g);
        for (int i = row.Length - 1; i >= 0; i--)
        {
            for (int j = 0; j < row[i].Inputs.Length; j++) row[i].InputGradients[j] = new(row[i].Inputs[j]!.Dims);
            Operator(row[i]).Backward(row[i]);
            if (i > 0) row[i - 1].OutputGradients[0] = row[i].InputGradients[0];
        }

        foreach (int threads in new[] { 1, 3 })
        {
            var op = new NormalizedRelu(window == 0 ? null : new OpContext(pool, 17, [new ValueFact(ElementType.Float, TensorShape.FromDims(dims))]));
            var joined = TapeOf(Node.Create("n", "BatchNormalization", ["x0", "x1", "x2", "x3", "x4"], ["z"]), op, Inputs<float>(dims, x), threads);
            for (int i = 0; i < 3; i++) joined.InputGradients[i] = new(joined.Inputs[i]!.Dims);
            joined.IsFresh = !adds;
            Array.Fill(joined.InputGradients[0]!.Data, adds ? 1f : float.NaN);
            joined.OutputGradients[0] = ValuesOf<float>(last.Output().Dims, g);
            op.Forward(joined);
            op.Backward(joined);
            AreClose(last.Output().Data, joined.Output().Data, 2e-5, 0, "output");
            AreClose(normalization.InputGradients[0]!.Data, joined.InputGradients[0]!.Data, 2e-5, adds ? 1 : 0, "gradient");
            // Of a channel with scale 0 every element is the greatest.
            foreach (int c in Enumerable.Range(0, _scales.Length).Where(c => _scales[c] != 0))
                Assert.AreEqual(normalization.InputGradients[1]!.Data[c], joined.InputGradients[1]!.Data[c], 1e-3, $"scale {c}");
            AreClose(normalization.InputGradients[2]!.Data, joined.InputGradients[2]!.Data, 1e-3, 0, "bias");
            AreClose(normalization.Inputs[3]!.Data, joined.Inputs[3]!.Data, 1e-6, 0, "running mean");
            AreClose(normalization.Inputs[4]!.Data, joined.Inputs[4]!.Data, 1e-6, 0, "running variance");
        }
    }

    [TestMethod]
    [DataRow(6)]
    [DataRow(8)]
    [DataRow(14)]
    [DataRow(28)]
    public void PairsArePooledAsInDouble(int width)
    {
        int[] dims = [3, 2, 6, width];
        var node = Node.Create("p", "MaxPool", ["x"], ["y"]) with { Attributes = AttributeMap.Empty.With("kernel_shape", ImmutableArray.Create(2L, 2)).With("strides", ImmutableArray.Create(2L, 2)) };
        // Few values, so that many are equal.
        float[] x = [.. Enumerable.Range(0, 36 * width).Select(_ => (float)_random.Next(-2, 3))];
        var expected = Pooled<double>(node, dims, x);
        var actual = Pooled<float>(node, dims, x);
        CollectionAssert.AreEqual(expected.Output().Data, Array.ConvertAll(actual.Output().Data, v => (double)v));
        CollectionAssert.AreEqual(expected.InputGradients[0]!.Data, Array.ConvertAll(actual.InputGradients[0]!.Data, v => (double)v));
    }

    private static TapeNode<T> Pooled<T>(Node node, int[] dims, float[] x) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var op = (IDifferentiable)OperatorSet.For(node);
        var tape = TapeOf(node, op, [ValuesOf<T>(dims, x)], 1);
        op.Forward(tape);
        tape.OutputGradients[0] = new(tape.Output().Dims, [.. Enumerable.Range(1, tape.Output().Count).Select(i => T.CreateChecked(i))]);
        tape.InputGradients[0] = new(dims);
        tape.IsFresh = true;
        Array.Fill(tape.InputGradients[0]!.Data, T.NaN);
        op.Backward(tape);
        return tape;
    }

    private static void AreClose(double[] expected, float[] actual, double tolerance, double offset, string what)
    {
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i] + offset, actual[i], tolerance, $"{what} {i}");
    }

    private static IDifferentiable Operator(TapeNode<double> node) => (IDifferentiable)OperatorSet.For(node.Context.Node);

    private static Values<T>[] Inputs<T>(int[] dims, float[] x) where T : unmanaged, IFloatingPointIeee754<T> =>
    [
        ValuesOf<T>(dims, x), ValuesOf<T>([_scales.Length], _scales), ValuesOf<T>([_scales.Length], [0.1f, 0.5f, -0.25f, 1, -0.05f]),
        ValuesOf<T>([_scales.Length], [3, 2, 3, 2.5f, 0]), ValuesOf<T>([_scales.Length], [1, 1, 2, 1, 0.5f]),
    ];

    private static Values<T> ValuesOf<T>(int[] dims, float[] values) where T : unmanaged, IFloatingPointIeee754<T> => new(dims, Array.ConvertAll(values, T.CreateChecked));

    private static TapeNode<T> NodeOf<T>(string type, Values<T>[] inputs, int threads) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var node = Node.Create("n", type, [.. inputs.Select((_, i) => $"x{i}")], ["y"]);
        return TapeOf(node, (IDifferentiable)OperatorSet.For(node), inputs, threads);
    }

    private static TapeNode<T> TapeOf<T>(Node node, IDifferentiable op, Values<T>[] inputs, int threads) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var context = new OpContext(node, 17, [.. inputs.Select(i => new ValueFact(ElementType.Float, TensorShape.FromDims(i.Dims)))]);
        return new(context, inputs, [new Values<T>(op.Infer(context)[0].Shape!.ToInts())], new(threads));
    }
}
