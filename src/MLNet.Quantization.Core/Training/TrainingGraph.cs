using System.Collections.Frozen;
using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Training;

/// <summary>
/// A graph to be trained: which of its constants are learned, which nodes gradients flow through. Nodes whose inputs no parameter leads to
/// are computed by the operators that score. Immutable but for the parameters' numbers.
/// </summary>
internal sealed class TrainingGraph
{
    private readonly FrozenDictionary<string, IDifferentiable> _own;
    private readonly HashSet<string> _leading;
    private readonly HashSet<string> _moving = new(StringComparer.Ordinal);

    /// <param name="graph">In topological order; prepared.</param>
    /// <param name="own">By node name: operators of training alone, such as fake quantization, which stand in the graph as nodes of any type.</param>
    /// <param name="output">The value that the loss is of; null: the first output.</param>
    /// <exception cref="UnsupportedOperatorException">A node between a parameter and that value has no gradient.</exception>
    /// <exception cref="ModelFormatException">Nothing in the graph can be learned.</exception>
    public TrainingGraph(ModelGraph graph, IReadOnlyDictionary<string, IDifferentiable>? own = null, string? output = null)
    {
        Graph = graph;
        Output = output ?? graph.Outputs[0].Name;
        _own = (own ?? ImmutableDictionary<string, IDifferentiable>.Empty).ToFrozenDictionary(StringComparer.Ordinal);
        _leading = Leading();
        var parameters = new Dictionary<string, Parameter>(StringComparer.Ordinal);
        foreach (var node in graph.Nodes.Where(n => n.Outputs.Any(_leading.Contains)))
        {
            if (OperatorOf(node) is { } op) Collect(node, op, parameters);
            if (!node.Inputs.Any(_moving.Contains)) continue;
            if (OperatorOf(node) is null) throw WithoutGradient(node);
            _moving.UnionWith(node.Outputs.Where(o => o.Length > 0));
        }
        Parameters = [.. parameters.Values];
        if (Parameters.All(p => p.Kind == ParameterKind.Statistic)) throw new ModelFormatException("The model has no weights between its inputs and its output, so there is nothing to train.");
    }

    public ModelGraph Graph { get; }

    /// <summary>The value that the loss is of.</summary>
    public string Output { get; }

    /// <summary>In graph order.</summary>
    public ImmutableArray<Parameter> Parameters { get; }

    /// <summary>True where a value follows from parameters, so that gradients flow back through it.</summary>
    public bool Moves(string value) => _moving.Contains(value);

    /// <summary>The operator with its gradient, or null.</summary>
    public IDifferentiable? OperatorOf(Node node) => _own.GetValueOrDefault(node.Name) ?? (OperatorSet.Supports(node) ? OperatorSet.For(node) as IDifferentiable : null);

    /// <summary>The graph with what was learned in place of its constants.</summary>
    public ModelGraph Trained()
    {
        var builder = Graph.Initializers.ToBuilder();
        foreach (var p in Parameters) builder[p.Name] = Tensor.Create(p.Value.Data, p.Value.Dims);
        return Graph with { Initializers = builder.ToImmutable() };
    }

    /// <summary>True where <see cref="Output"/> is computed from what the node makes.</summary>
    public bool Leads(Node node) => node.Outputs.Any(_leading.Contains);

    /// <summary>True where <see cref="Output"/> is computed from a value, or is it.</summary>
    public bool Leads(string value) => _leading.Contains(value);

    /// <summary>Values that the output is computed from.</summary>
    private HashSet<string> Leading()
    {
        var leading = new HashSet<string>(StringComparer.Ordinal) { Output };
        foreach (var node in Graph.Nodes.Reverse())
            if (node.Outputs.Any(leading.Contains)) leading.UnionWith(node.Inputs.Concat(node.Captures()));
        return leading;
    }

    private void Collect(Node node, IDifferentiable op, Dictionary<string, Parameter> parameters)
    {
        foreach (int i in op.LearnedInputs) Add(i, ParameterKind.Weight);
        if (node.OpType != "BatchNormalization") return;
        for (int i = 3; i < 5; i++) Add(i, ParameterKind.Statistic);

        void Add(int input, ParameterKind kind)
        {
            if (node.Input(input) is not { } name || !Graph.Initializers.TryGetValue(name, out var value) || value.Type != ElementType.Float) return;
            if (kind != ParameterKind.Statistic) _moving.Add(name);
            // Vectors are biases, and scales and shifts of normalizations: weight decay is not for them.
            if (kind == ParameterKind.Weight && (value.Rank < 2 || node.OpType is "LSTM" or "GRU" or "RNN" && input > 2)) kind = ParameterKind.Other;
            parameters.TryAdd(name, new(name, new(value.Dims, value.Span<float>().ToArray()), kind));
        }
    }

    private static UnsupportedOperatorException WithoutGradient(Node node)
    {
        string known = string.Join(", ", OperatorSet.SupportedTypes.Where(t => OperatorSet.For(Node.Create("", t, [], [])) is IDifferentiable));
        return new($"Node '{node.DisplayName}' ({node.OpType}) stands between weights and the output, and has no gradient. Operators with one: {known}.", node.DisplayName, node.OpType, node.Domain);
    }
}
