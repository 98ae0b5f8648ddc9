using MLNet.Quantization.Graph;
using MLNet.Quantization.Numerics;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Ops.Recurrent;
using MLNet.Quantization.Passes;
using MLNet.Quantization.Training;

namespace MLNet.Quantization.Pipeline;

/// <summary>
/// A float graph with the rounding that scoring will do where <see cref="PlaceQuantizers"/> will put it: behind weights, inputs of layers and
/// what is computed on codes between them, and biases. Batch normalizations that are still to be learned stand behind their layers
/// (<see cref="NormalizedWeights"/>).
/// </summary>
internal sealed class FakeQuantizedGraph
{
    /// <summary>Of nodes that only training knows.</summary>
    private const string Domain = "mlnet.quantization.training";

    private readonly UnfoldedModel _model;
    private readonly QuantizerOptions _options;
    private readonly FakeQuantizedGraph? _before;
    private readonly CodeRegions _regions;
    private readonly GraphPatch _patch;
    private readonly Dictionary<string, IDifferentiable> _own = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ActivationQuantizer> _activations = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Owner, int Part), (WeightSteps Steps, string? LogSteps)> _weights = [];
    private readonly Dictionary<string, string> _placed = new(StringComparer.Ordinal);
    private readonly List<Parameter> _statistics = [];

    /// <param name="model">What is trained.</param>
    /// <param name="options">How rounding is simulated.</param>
    /// <param name="output">The value that the loss is of.</param>
    /// <param name="before">Whose ranges and steps go on, or null.</param>
    public FakeQuantizedGraph(UnfoldedModel model, QuantizerOptions options, string output, FakeQuantizedGraph? before = null)
    {
        _model = model;
        _options = options;
        _before = before;
        _patch = new(model.Graph);
        var layers = WeightLayer.AllOf(model.Folded).Where(l => !options.ExcludedNodes.Contains(l.Node.DisplayName)).ToDictionary(l => l.Node.DisplayName, StringComparer.Ordinal);
        _regions = new(model.Folded, [.. layers.Values]);
        foreach (var node in model.Graph.Nodes)
        {
            if (layers.TryGetValue(node.DisplayName, out var layer)) Quantize(node, layer);
            else if (EmbeddingLayer.Match(node, model.Graph) is { } embedding && !options.ExcludedNodes.Contains(node.DisplayName)) Quantize(embedding);
            else if (_regions.IsCoded(node)) QuantizeInputs(node);
        }
        Training = new(_patch.Apply(), _own, output);
        foreach (var quantizer in _activations.Values.Distinct())
        {
            quantizer.IsFrozen = before is not null;
            if (quantizer.LogStep is { } step && Training.Parameters.FirstOrDefault(p => p.Name == step.Name) is { } learned) quantizer.Bind(learned);
            _statistics.Add(quantizer.Ranges);
        }
        CarryOver();
    }

    public TrainingGraph Training { get; }

    /// <summary>Those of the graph, and the ranges of activations.</summary>
    public IReadOnlyList<Parameter> Parameters => [.. Training.Parameters, .. _statistics];

    /// <summary>The float graph as trained so far, normalizations folded into layers.</summary>
    public ModelGraph TrainedFloat() => UnfoldedModel.Fold(_model.With(Training.Parameters));

    /// <summary>The model that scores what was trained: the codes of the trained weights, at the trained scales.</summary>
    public QuantizedModel Convert()
    {
        var layers = new List<QuantizedLayer>();
        var graph = PlaceQuantizers.Apply(TrainedFloat(), new TrainedScales(this), _options.Granularity, _options.ExcludedNodes, layers);
        return new(graph, new(layers));
    }

    private void Quantize(Node node, WeightLayer layer)
    {
        var activation = QuantizerOf(layer.Activation);
        var inputs = node.Inputs.ToArray();
        inputs[0] = Activation(layer.Activation);
        if (layer is RecurrentLayer recurrent)
        {
            for (int i = 0; i < recurrent.Weights.Length; i++)
            {
                int[] dims = DimsOf(recurrent.Weights[i]);
                inputs[i + 1] = Weights(node, i, recurrent.Weights[i], new(1, dims[0] * dims[1], dims[2]), _options);
            }
            string name = node.Name.Length > 0 ? node.Name : _patch.NewName(node.OpType);
            _own.Add(name, new RecurrentGradient(node.OpType, roundsState: true));
            _patch.Replace(node, node with { Name = name, Inputs = [.. inputs] });
            return;
        }
        var layout = LayoutOf(node, DimsOf(inputs[1]));
        var options = node.OpType == "ConvTranspose" && LinearLayer.GroupsOf(node) > 1 ? _options with { Granularity = WeightGranularity.PerTensor } : _options;
        if (_model.NormalizationOf(node) is { } normalization)
        {
            Normalize(node, normalization, inputs, layout, options);
            return;
        }
        inputs[1] = Weights(node, 0, inputs[1], layout, options);
        if (inputs.Length > 2 && inputs[2].Length > 0) inputs[2] = Own(node.DisplayName, new FakeQuantizeBias(activation, _weights[(node.DisplayName, 0)].Steps), inputs[2]);
        _patch.Replace(node, node with { Inputs = [.. inputs] });
    }

    private void Normalize(Node node, Node normalization, string[] inputs, ChannelLayout layout, QuantizerOptions options)
    {
        string scale = normalization.Inputs[1], variance = normalization.Inputs[4];
        float epsilon = normalization.Attributes.Get("epsilon", 1e-5f);
        float[] first = NormalizationScale.Apply(FloatsOf(inputs[1]), layout, FloatsOf(scale), FloatsOf(variance), epsilon);
        inputs[1] = Weights(node, 0, Own(node.DisplayName, new NormalizedWeights(layout, epsilon), inputs[1], scale, variance), layout, options, first);
        string raw = _patch.NewName($"{node.DisplayName}_raw");
        _patch.Replace(node, node with { Inputs = [inputs[0], inputs[1]], Outputs = [raw] });
        string real = Own(node.DisplayName, new WithoutNormalization(epsilon), raw, scale, variance);
        _patch.Replace(normalization, normalization with { Inputs = normalization.Inputs.SetItem(0, real) });
    }

    private void Quantize(EmbeddingLayer embedding)
    {
        int[] dims = DimsOf(embedding.TableName);
        string table = Weights(embedding.Node, 0, embedding.TableName, new(1, dims[0], dims[1]), _options with { Granularity = WeightGranularity.PerChannel });
        _patch.Replace(embedding.Node, embedding.Node with { Inputs = embedding.Node.Inputs.SetItem(0, table) });
    }

    private void QuantizeInputs(Node node)
    {
        var data = _regions.DataOf(node).Where(v => _regions.IsQuantizedFor(node, v)).ToHashSet(StringComparer.Ordinal);
        if (data.Count > 0) _patch.Replace(node, node with { Inputs = [.. node.Inputs.Select(i => data.Contains(i) ? Activation(i) : i)] });
    }

    /// <summary>The rounded form of an activation, made once for all its readers.</summary>
    private string Activation(string value)
    {
        if (_placed.TryGetValue(value, out string? made)) return made;
        var quantizer = QuantizerOf(value);
        var op = new FakeQuantizeActivation(quantizer, quantizer.Values.ToList().IndexOf(value));
        return _placed[value] = Own(value, op, quantizer.LogStep is { } step ? [value, Constant(step)] : [value]);
    }

    private ActivationQuantizer QuantizerOf(string value)
    {
        if (_activations.TryGetValue(value, out var known)) return known;
        string[] group = [.. _regions.GroupOf(value).Order(StringComparer.Ordinal)];
        var quantizer = new ActivationQuantizer(group, _regions.GridOf(value, _options.ActivationBits), _options);
        foreach (string member in group) _activations[member] = quantizer;
        return quantizer;
    }

    /// <summary>The rounded form of weights, which are a constant, or start as <paramref name="first"/>.</summary>
    private string Weights(Node node, int part, string weights, ChannelLayout layout, QuantizerOptions options, float[]? first = null)
    {
        var steps = new WeightSteps(layout, CodeGrid.ForBits(options.WeightBits, narrow: !options.LearnsSteps), options);
        string? logSteps = null;
        if (options.LearnsSteps)
        {
            float[] firstSteps = steps.FirstLogSteps(first ?? FloatsOf(weights));
            logSteps = Constant(new($"{node.DisplayName}_log_step{part}", new([firstSteps.Length], firstSteps), ParameterKind.Other));
        }
        _weights[(node.DisplayName, part)] = (steps, logSteps);
        return Own(node.DisplayName, new FakeQuantizeWeights(steps), logSteps is null ? [weights] : [weights, logSteps]);
    }

    private string Constant(Parameter parameter)
    {
        _patch.SetInitializer(parameter.Name, Tensor.Create(parameter.Value.Data, parameter.Value.Dims));
        return parameter.Name;
    }

    /// <summary>Adds a node that only training knows.</summary>
    /// <returns>Its output.</returns>
    private string Own(string stem, IDifferentiable op, params string[] inputs)
    {
        string name = _patch.NewName($"{stem}_{op.OpType}"), output = _patch.NewName($"{name}_output");
        _patch.Add(Node.Create(name, op.OpType, inputs, [output]) with { Domain = Domain });
        _own.Add(name, op);
        return output;
    }

    private ReadOnlySpan<float> FloatsOf(string constant) => _model.Graph.Initializers[constant].Span<float>();

    private int[] DimsOf(string constant) => _model.Graph.Initializers[constant].Dims;

    private static ChannelLayout LayoutOf(Node node, int[] dims)
    {
        int taps = dims.Skip(2).Aggregate(1, (a, b) => a * b);
        return node.OpType switch
        {
            "Conv" => new(1, dims[0], dims[1] * taps),
            "ConvTranspose" => new(dims[0], dims[1], taps),
            "Gemm" when node.Attributes.Get("transB", 0L) != 0 => new(1, dims[0], dims[1]),
            _ => new(dims[0], dims[1], 1),
        };
    }

    /// <summary>Ranges and learned steps go on from the graph before.</summary>
    private void CarryOver()
    {
        if (_before is null) return;
        var old = _before.Parameters.ToDictionary(p => p.Name, StringComparer.Ordinal);
        foreach (var p in Parameters)
            if (old.TryGetValue(p.Name, out var from) && from.Value.Count == p.Value.Count) from.Value.Data.CopyTo(p.Value.Data, 0);
    }

    /// <summary>What codes mean after training.</summary>
    private sealed class TrainedScales(FakeQuantizedGraph trained) : ScaleSource
    {
        public override bool Knows(string activation) => trained._activations.ContainsKey(activation);

        public override ActivationChoice? Activation(string value, CodeRegions regions) =>
            trained._activations.GetValueOrDefault(value) is { } quantizer ? new(quantizer.Current, quantizer.Grid, null, false) : null;

        public override WeightCodes Weights(
            string owner, int part, ReadOnlySpan<float> weights, int k, int n, bool transposed, WeightGranularity granularity, ReadOnlySpan<float> bias, float? activationScale)
        {
            var (steps, logSteps) = trained._weights[(owner, part)];
            float[]? learned = logSteps is null ? null : Array.ConvertAll(trained.Training.Parameters.First(p => p.Name == logSteps).Value.Data, ActivationQuantizer.StepOf);
            return WeightCodes.Quantize(weights, k, n, transposed, granularity, bias, activationScale, steps.Grid, learned);
        }
    }
}
