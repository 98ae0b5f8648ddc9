using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Tests.Training;

/// <summary>Small networks with random weights, to be trained.</summary>
internal sealed class TrainedNetworks
{
    private readonly SplitMix64 _random;
    private readonly ImmutableArray<Node>.Builder _nodes = ImmutableArray.CreateBuilder<Node>();
    private readonly ImmutableDictionary<string, Tensor>.Builder _constants = ImmutableDictionary.CreateBuilder<string, Tensor>(StringComparer.Ordinal);
    private string _value = "x";

    private TrainedNetworks(int seed) => _random = new((ulong)seed);

    /// <summary>784-256-256-10 with Relu.</summary>
    public static ModelGraph Perceptron(int seed)
    {
        var n = new TrainedNetworks(seed);
        n.Dense(784, 256).Function("Relu").Dense(256, 256).Function("Relu").Dense(256, 10).Function("Softmax");
        return n.Build(new(new Dimension("N"), 784));
    }

    /// <summary>28 x 28: 8 filters, a depthwise layer, 16 filters of one pixel, each with batch normalization; then 10 classes.</summary>
    public static ModelGraph Convolutional(int seed)
    {
        var n = new TrainedNetworks(seed);
        n.Conv(1, 8, 3, 1).Normalize(8).Function("Relu").Pool().Conv(8, 8, 3, 8).Normalize(8).Function("Relu").Conv(8, 16, 1, 1).Normalize(16).Function("Relu").Pool()
            .Add("Flatten").Dense(784, 10).Function("Softmax");
        return n.Build(new(new Dimension("N"), 1, 28, 28));
    }

    /// <summary>12 x 12: 8 filters of all channels with batch normalization; then 5 classes.</summary>
    public static ModelGraph Normalized(int seed)
    {
        var n = new TrainedNetworks(seed);
        n.Conv(2, 8, 3, 1).Normalize(8).Function("Relu").Pool().Conv(8, 12, 3, 1).Normalize(12).Function("Relu").Add("Flatten").Dense(432, 5);
        return n.Build(new(new Dimension("N"), 2, 12, 12));
    }

    /// <summary>12 x 12: two blocks of a depthwise layer and one of one pixel, without normalization; then 5 classes.</summary>
    public static ModelGraph Depthwise(int seed)
    {
        var n = new TrainedNetworks(seed);
        n.Conv(2, 2, 3, 2).Function("Relu").Conv(2, 8, 1, 1).Function("Relu").Pool().Conv(8, 8, 3, 8).Function("Relu").Conv(8, 12, 1, 1).Function("Relu").Add("Flatten").Dense(432, 5);
        return n.Build(new(new Dimension("N"), 2, 12, 12));
    }

    /// <summary>An LSTM, GRU or RNN of 20 units over 9 steps of 32 numbers; then 5 classes from its last state.</summary>
    public static ModelGraph Recurrent(int seed, string cell, bool bidirectional = false)
    {
        var n = new TrainedNetworks(seed);
        int gates = cell switch { "LSTM" => 4, "GRU" => 3, _ => 1 }, directions = bidirectional ? 2 : 1;
        n.Add("Transpose", AttributeMap.Empty.With("perm", ImmutableArray.Create<long>(1, 0, 2)));
        n.Add(
            cell, AttributeMap.Empty.With("hidden_size", 20).With("direction", bidirectional ? "bidirectional" : "forward"),
            n.Uniform(0.3, directions, gates * 20, 32), n.Uniform(0.3, directions, gates * 20, 20), n.Uniform(0.1, directions, 2 * gates * 20));
        var layer = n._nodes[^1];
        n._nodes[^1] = layer with { Outputs = ["", n._value] };
        n.Add("Transpose", AttributeMap.Empty.With("perm", ImmutableArray.Create<long>(1, 0, 2))).Add("Flatten").Dense(20 * directions, 5);
        return n.Build(new(new Dimension("N"), 9, 32));
    }

    private TrainedNetworks Dense(int inputs, int outputs) => Add("Gemm", Uniform(Math.Sqrt(6.0 / (inputs + outputs)), inputs, outputs), Filled(0, outputs));

    private TrainedNetworks Conv(int channels, int filters, int side, int groups)
    {
        var attributes = AttributeMap.Empty.With("group", groups).With("pads", ImmutableArray.Create<long>(side / 2, side / 2, side / 2, side / 2));
        return Add("Conv", attributes, Uniform(Math.Sqrt(6.0 / (channels / groups * side * side)), filters, channels / groups, side, side));
    }

    private TrainedNetworks Normalize(int channels) => Add("BatchNormalization", Filled(1, channels), Filled(0, channels), Filled(0, channels), Filled(1, channels));

    private TrainedNetworks Pool() => Add("MaxPool", AttributeMap.Empty.With("kernel_shape", ImmutableArray.Create(2L, 2)).With("strides", ImmutableArray.Create(2L, 2)));

    private TrainedNetworks Function(string type) => Add(type);

    private TrainedNetworks Add(string type, params Tensor[] constants) => Add(type, AttributeMap.Empty, constants);

    private TrainedNetworks Add(string type, AttributeMap attributes, params Tensor[] constants)
    {
        string name = $"{type}{_nodes.Count}";
        for (int i = 0; i < constants.Length; i++) _constants.Add($"{name}_{i}", constants[i]);
        _nodes.Add(Node.Create(name, type, [_value, .. constants.Select((_, i) => $"{name}_{i}")], [$"{name}_y"]) with { Attributes = attributes });
        _value = $"{name}_y";
        return this;
    }

    private Tensor Uniform(double limit, params int[] dims) =>
        Tensor.Create([.. Enumerable.Range(0, dims.Aggregate(1, (a, b) => a * b)).Select(_ => (float)(limit * ((2 * _random.NextUniform()) - 1)))], dims);

    private static Tensor Filled(float value, int count) => Tensor.Create([.. Enumerable.Repeat(value, count)], count);

    private ModelGraph Build(TensorShape input) => new()
    {
        Inputs = [new("x", ElementType.Float, input)],
        Outputs = [new(_value, ElementType.Float, null)],
        OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
        Nodes = _nodes.ToImmutable(),
        Initializers = _constants.ToImmutable(),
    };
}
