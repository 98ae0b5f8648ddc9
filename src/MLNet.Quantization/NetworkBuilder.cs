using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization;

/// <summary>
/// Makes a small network in C#, as an <see cref="OnnxModel"/>: one input, layers in a row, one output. A row is a vector of float32
/// [N, size]; a sequence, float32 [N, steps, size] (<see cref="Sequence"/>) or int64 ids [N, steps] (<see cref="Tokens"/>); or an image, float32
/// [N, channels, height, width] (<see cref="Image"/>). Each call adds a layer on top of the last one and returns the builder. Functions and <see cref="Dense(int)"/> work on each step of a sequence.
/// </summary>
/// <example>
/// <code>
/// OnnxModel classifier = new NetworkBuilder(784).Dense(256).Relu().Dense(10).Softmax().Build();
/// OnnxModel digits = NetworkBuilder.Image(1, 28, 28).Conv2D(8, 3).BatchNormalization().Relu().MaxPool2D(2).Flatten().Dense(10).Softmax().Build();
/// OnnxModel tagger = NetworkBuilder.Sequence(16).Lstm(32).Dense(5).Build();
/// OnnxModel language = NetworkBuilder.Tokens().Embedding(256, 24).Gru(64, returnSequence: false, bidirectional: true).Dense(14).Softmax().Build();
/// OnnxModel topic = NetworkBuilder.Tokens().Embedding(256, 24).Conv1D(64, 5).Relu().GlobalMaxPool().Dense(14).Softmax().Build();
/// </code>
/// </example>
public sealed partial class NetworkBuilder
{
    private const int Opset = 17;

    private readonly string _input;
    private readonly ElementType _inputType;
    private readonly TensorShape _inputShape;
    private readonly List<Node> _nodes = [];
    private readonly Dictionary<string, Tensor> _constants = new(StringComparer.Ordinal);
    private readonly SplitMix64 _random;
    private string _value;

    /// <summary>Elements of a row, or of a step; 0 for ids.</summary>
    private int _size;

    /// <summary>Of the value so far: null for vectors.</summary>
    private Dimension? _steps;

    /// <summary>Starts with the input.</summary>
    /// <param name="inputSize">Values of a row; 1 or more.</param>
    /// <param name="inputName">The input's name, and its column unless bound otherwise.</param>
    /// <param name="seed">Of the random weights: the same seed gives the same network everywhere.</param>
    public NetworkBuilder(int inputSize, string inputName = "input", int seed = 1) : this(inputName, ElementType.Float, AtLeastOne(inputSize, nameof(inputSize)), null, seed)
    {
    }

    private NetworkBuilder(string inputName, ElementType type, int size, Dimension? steps, int seed, ImageSize? image = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(inputName);
        _input = _value = inputName;
        _inputType = type;
        _size = size;
        _steps = steps;
        _image = image;
        _inputShape = Shape();
        _random = new(unchecked((ulong)seed));
    }

    private static Dimension Batch { get; } = new("N");

    /// <summary>Of the value so far.</summary>
    private TensorShape Shape() => _image is { } image ? new(Batch, image.Channels, image.Height, image.Width) : (_steps, _size) switch { (null, _) => new(Batch, _size), ({ } steps, 0) => new(Batch, steps), ({ } steps, _) => new(Batch, steps, _size) };

    private static int AtLeastOne(int value, string name)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(value, 1, name);
        return value;
    }

    /// <summary>y = x · W + b with random W and b = 0: W uniform within ±√(6 / (inputs + units)) (Glorot and Bengio, 2010).</summary>
    /// <param name="units">Outputs of the layer; 1 or more.</param>
    public NetworkBuilder Dense(int units)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(units, 1);
        RequireNoImage("Dense");
        return Dense(Uniform(checked(_size * units), Math.Sqrt(6.0 / (_size + (double)units))), new float[units]);
    }

    /// <summary>y = x · W + b.</summary>
    /// <param name="weights">W [inputs, units], row-major: the weights of one input lie together.</param>
    /// <param name="bias">b [units].</param>
    /// <exception cref="ArgumentException">The sizes do not fit the layer below, or a value is NaN or infinite.</exception>
    public NetworkBuilder Dense(float[] weights, float[] bias)
    {
        ArgumentNullException.ThrowIfNull(weights);
        ArgumentNullException.ThrowIfNull(bias);
        RequireNoImage("Dense");
        if (bias.Length == 0 || weights.LongLength != (long)_size * bias.Length)
            throw new ArgumentException($"{weights.Length} weights do not fill [{_size}, {bias.Length}]: the layer below has {_size} outputs, the bias {bias.Length}.", nameof(weights));
        RequireFinite(weights, nameof(weights));
        RequireFinite(bias, nameof(bias));
        string name = $"dense{_nodes.Count(n => n.OpType is "Gemm" or "MatMul") + 1}";
        _constants[$"{name}_weights"] = Tensor.Create(weights, _size, bias.Length);
        _constants[$"{name}_bias"] = Tensor.Create(bias, bias.Length);
        _size = bias.Length;
        if (_steps is null) return Add("Gemm", name, [$"{name}_weights", $"{name}_bias"]);
        Add("MatMul", name, [$"{name}_weights"]);
        return Add("Add", $"{name}_add", [$"{name}_bias"]);
    }

    /// <summary>y = max(x, 0).</summary>
    public NetworkBuilder Relu() => Add("Relu");

    /// <summary>y = x where 0 or more, else alpha · x.</summary>
    /// <param name="alpha">Finite.</param>
    public NetworkBuilder LeakyRelu(float alpha = 0.01f)
    {
        if (!float.IsFinite(alpha)) throw new ArgumentOutOfRangeException(nameof(alpha), alpha, "alpha must be finite.");
        return Add("LeakyRelu", attributes: AttributeMap.Empty.With("alpha", alpha));
    }

    /// <summary>y = 1 / (1 + e^-x).</summary>
    public NetworkBuilder Sigmoid() => Add("Sigmoid");

    /// <summary>y = tanh x.</summary>
    public NetworkBuilder Tanh() => Add("Tanh");

    /// <summary>y = min(max(x, low), high).</summary>
    /// <param name="low">Not above <paramref name="high"/>.</param>
    /// <param name="high">Not below <paramref name="low"/>.</param>
    public NetworkBuilder Clip(float low, float high)
    {
        if (!(low <= high)) throw new ArgumentOutOfRangeException(nameof(low), low, FormattableString.Invariant($"low must not be above high, {high}."));
        string name = NameOf("Clip");
        _constants[$"{name}_low"] = Tensor.Scalar(low);
        _constants[$"{name}_high"] = Tensor.Scalar(high);
        return Add("Clip", name, [$"{name}_low", $"{name}_high"]);
    }

    /// <summary>y = e^x / Σ e^x over each row.</summary>
    public NetworkBuilder Softmax() => RequireNoImage("Softmax").Add("Softmax");

    /// <summary>y = x - ln Σ e^x over each row.</summary>
    public NetworkBuilder LogSoftmax() => RequireNoImage("LogSoftmax").Add("LogSoftmax");

    /// <summary>The network so far.</summary>
    /// <param name="outputName">The output's name, and its column unless bound otherwise.</param>
    /// <exception cref="InvalidOperationException">It has no layer.</exception>
    public OnnxModel Build(string outputName = "output")
    {
        ArgumentException.ThrowIfNullOrEmpty(outputName);
        if (_nodes.Count == 0) throw new InvalidOperationException("The network has no layer.");
        if (outputName == _input || _constants.ContainsKey(outputName) || _nodes.SkipLast(1).Any(n => n.Outputs[0] == outputName))
            throw new ArgumentException($"'{outputName}' is a value inside the network.", nameof(outputName));
        return new(new ModelGraph
        {
            Name = "network",
            Inputs = [new(_input, _inputType, _inputShape)],
            Outputs = [new(outputName, ElementType.Float, Shape())],
            Nodes = [.. _nodes.SkipLast(1), _nodes[^1] with { Outputs = [outputName] }],
            Initializers = _constants.ToImmutableDictionary(StringComparer.Ordinal),
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", Opset),
        });
    }

    private NetworkBuilder Add(string op, string? name = null, string[]? constants = null, AttributeMap? attributes = null)
    {
        RequireNumbers(op);
        name ??= NameOf(op);
        _nodes.Add(Node.Create(name, op, [_value, .. constants ?? []], [$"{name}_output"]) with { Attributes = attributes ?? AttributeMap.Empty });
        _value = $"{name}_output";
        return this;
    }

    private void RequireNumbers(string layer)
    {
        if (_size == 0) throw new InvalidOperationException($"{layer} needs numbers, and the layer below gives ids: Embedding comes first.");
    }

    private static void RequireFinite(float[] values, string name)
    {
        int at = Array.FindIndex(values, v => !float.IsFinite(v));
        if (at >= 0) throw new ArgumentException(FormattableString.Invariant($"Element {at} is {values[at]}, expected finite numbers."), name);
    }

    private float[] Uniform(int count, double limit)
    {
        var values = new float[count];
        for (int i = 0; i < count; i++) values[i] = (float)(limit * ((2 * _random.NextUniform()) - 1));
        return values;
    }

    private string NameOf(string op) => $"{op}{_nodes.Count(n => n.OpType == op) + 1}";
}
