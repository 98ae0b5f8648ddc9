using System.Collections.Immutable;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Tests.Passes;

/// <summary>Builds small float32 graphs and scores them before and after a pass, by ONNX Runtime and by the engine where it runs them.</summary>
internal sealed class FloatGraph(params int[] inputDims)
{
    private readonly List<Node> _nodes = [];
    private readonly Dictionary<string, Tensor> _constants = new(StringComparer.Ordinal);
    private readonly Random _random = new(5);
    private int _count;

    public ElementType InputType { get; init; } = ElementType.Float;

    public string Constant(Tensor value)
    {
        string name = FormattableString.Invariant($"c{_count++}");
        _constants[name] = value;
        return name;
    }

    public string Scalar(float value) => Constant(Tensor.Scalar(value));

    public string List(params long[] values) => Constant(Tensor.Create(values, values.Length));

    /// <summary>Random numbers from -1 to 1.</summary>
    public string Weights(params int[] dims) => Between(-1, 1, dims);

    public string Between(float low, float high, params int[] dims) =>
        Constant(Tensor.Create([.. Enumerable.Range(0, dims.Aggregate(1, (a, b) => a * b)).Select(_ => low + (_random.NextSingle() * (high - low)))], dims));

    public string Add(string opType, params string[] inputs) => Add(opType, AttributeMap.Empty, inputs);

    public string Add(string opType, AttributeMap attributes, params string[] inputs)
    {
        string output = FormattableString.Invariant($"{opType}{_count++}");
        _nodes.Add(Node.Create(output, opType, inputs, [output]) with { Attributes = attributes });
        return output;
    }

    public string Normalization(string x, int channels) =>
        Add("BatchNormalization", x, Weights(channels), Weights(channels), Weights(channels), Between(0.2f, 2, channels));

    public static AttributeMap Ints(string name, params long[] values) => AttributeMap.Empty.With(name, values.ToImmutableArray());

    /// <summary>The graph with these outputs.</summary>
    public ModelGraph Build(int opset, params string[] outputs) => new()
    {
        Name = "g",
        Inputs = [new("x", InputType, TensorShape.FromDims(inputDims))],
        Outputs = [.. outputs.Select(o => new ValueInfo(o, ElementType.Float, null))],
        Nodes = [.. _nodes],
        Initializers = _constants.ToImmutableDictionary(StringComparer.Ordinal),
        OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", opset),
        Metadata = ModelMetadata.Empty with { IrVersion = 8 },
    };

    public static string Types(ModelGraph graph) => string.Join(' ', graph.Nodes.Select(n => n.OpType));

    /// <summary>Both give the same numbers on random input, up to rounding.</summary>
    public static void AssertSame(ModelGraph before, ModelGraph after, double tolerance = 1e-5)
    {
        CollectionAssert.AreEqual(before.Outputs.Select(o => o.Name).ToArray(), after.Outputs.Select(o => o.Name).ToArray());
        var dims = before.Inputs[0].Shape!.ToInts();
        var random = new Random(9);
        float[] x = [.. Enumerable.Range(0, dims.Aggregate(1, (a, b) => a * b)).Select(_ => (random.NextSingle() * 6) - 3)];
        var expected = OnnxRuntimeOracle.Score(before, false, ("x", x, dims));
        var found = OnnxRuntimeOracle.Score(after, false, ("x", x, dims));
        for (int i = 0; i < expected.Length; i++) AssertClose(expected[i], found[i], tolerance);
        if (!after.Nodes.All(OperatorSet.Supports)) return;
        using var run = Program.Compile(after).Rent([dims]);
        x.CopyTo(run.Input<float>(0));
        run.Execute();
        for (int i = 0; i < expected.Length; i++) AssertClose(expected[i], run.Output<float>(i).ToArray(), tolerance);
    }

    public static void AssertClose(float[] expected, float[] found, double tolerance)
    {
        Assert.HasCount(expected.Length, found);
        double scale = 1 + expected.Max(Math.Abs);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], found[i], tolerance * scale);
    }
}
