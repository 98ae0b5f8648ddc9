using System.Collections.Immutable;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Tests.Passes;

/// <summary>Builds small graphs with quantizers, as other tools place them, and scores them.</summary>
internal sealed class QdqGraph(params int[] inputDims)
{
    private readonly List<Node> _nodes = [];
    private readonly Dictionary<string, Tensor> _constants = new(StringComparer.Ordinal);
    private readonly Random _random = new(7);
    private int _count;

    public QdqGraph Constant(string name, Tensor value)
    {
        _constants[name] = value;
        return this;
    }

    public string Add(string opType, params string[] inputs) => Add(opType, AttributeMap.Empty, inputs);

    public string Add(string opType, AttributeMap attributes, params string[] inputs)
    {
        string output = FormattableString.Invariant($"{opType}{_count++}");
        _nodes.Add(Node.Create(output, opType, inputs, [output]) with { Attributes = attributes });
        return output;
    }

    public string List(params long[] values)
    {
        string name = FormattableString.Invariant($"list{_count++}");
        _constants[name] = Tensor.Create(values, values.Length);
        return name;
    }

    public string Float(params float[] values)
    {
        string name = FormattableString.Invariant($"float{_count++}");
        _constants[name] = values.Length == 1 ? Tensor.Scalar(values[0]) : Tensor.Create(values, values.Length);
        return name;
    }

    public string Quantize(string value, float scale, int zero, bool signed = false) => Add("QuantizeLinear", value, Float(scale), Zero(zero, signed));

    public string Dequantize(string codes, float scale, int zero, bool signed = false) => Add("DequantizeLinear", codes, Float(scale), Zero(zero, signed));

    public string Around(string value, float scale, int zero, bool signed = false) => Dequantize(Quantize(value, scale, zero, signed), scale, zero, signed);

    /// <summary>s8 weights behind DequantizeLinear, one scale a channel.</summary>
    public string Weights(int rows, int columns, int axis)
    {
        int channels = axis == 0 ? rows : columns;
        string codes = FormattableString.Invariant($"codes{_count++}"), zeros = FormattableString.Invariant($"zeros{_count++}");
        _constants[codes] = Tensor.Create(Enumerable.Range(0, rows * columns).Select(_ => (sbyte)_random.Next(-127, 128)).ToArray(), rows, columns);
        _constants[zeros] = Tensor.Create(new sbyte[channels], channels);
        return Add("DequantizeLinear", AttributeMap.Empty.With("axis", axis), codes, Float([.. WeightScales(channels)]), zeros);
    }

    public static IEnumerable<float> WeightScales(int channels) => Enumerable.Range(0, channels).Select(c => 0.004f + 0.0007f * c);

    /// <summary>An int32 bias at Sa · Sw.</summary>
    public string Bias(int channels, float inputScale)
    {
        string codes = FormattableString.Invariant($"codes{_count++}");
        _constants[codes] = Tensor.Create(Enumerable.Range(0, channels).Select(_ => _random.Next(-2000, 2000)).ToArray(), channels);
        return Add("DequantizeLinear", AttributeMap.Empty.With("axis", 0), codes, Float([.. WeightScales(channels).Select(s => s * inputScale)]));
    }

    public ModelGraph Build(string output) => new()
    {
        Name = "qdq",
        Inputs = [new("x", ElementType.Float, TensorShape.FromDims(inputDims))],
        Outputs = [new("y", ElementType.Float, null)],
        Nodes = [.. _nodes, Node.Create("end", "Mul", [output, Float(1)], ["y"])],
        Initializers = _constants.ToImmutableDictionary(StringComparer.Ordinal),
        OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 13),
        Metadata = ModelMetadata.Empty with { IrVersion = 7 },
    };

    public float[] RandomInput(float span = 2)
    {
        var random = new Random(11);
        return [.. Enumerable.Range(0, inputDims.Aggregate(1, (a, b) => a * b)).Select(_ => (random.NextSingle() * 2 - 1) * span)];
    }

    public static float[] Score(ModelGraph graph, float[] x)
    {
        using var run = Program.Compile(graph).Rent([graph.Inputs[0].Shape!.ToInts()]);
        x.CopyTo(run.Input<float>(0));
        run.Execute();
        return run.Output<float>(0).ToArray();
    }

    /// <summary>Scores by ONNX Runtime, which computes each node as it stands.</summary>
    public static float[] ScoreElsewhere(ModelGraph graph, float[] x) => OnnxRuntimeOracle.Score(graph, false, ("x", x, graph.Inputs[0].Shape!.ToInts()))[0];

    private string Zero(int zero, bool signed)
    {
        string name = FormattableString.Invariant($"zero{_count++}");
        _constants[name] = signed ? Tensor.Scalar((sbyte)zero) : Tensor.Scalar((byte)zero);
        return name;
    }
}
