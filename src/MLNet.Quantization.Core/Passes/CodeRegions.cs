using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Numerics;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Which values of a float graph are to be quantized beside the inputs of its layers, so that what lies between two layers is computed on
/// codes: sums and products of two activations, means of windows, interpolation, element-wise functions; and which values share one scale, because only
/// data movement lies between them.
/// </summary>
internal sealed class CodeRegions
{
    private static readonly ImmutableHashSet<string> Pools = ImmutableHashSet.Create(StringComparer.Ordinal, "AveragePool", "GlobalAveragePool");

    private static readonly ImmutableHashSet<string> Sinks = Pools.Add("GlobalMaxPool");

    private readonly GraphIndex _index;
    private readonly Lazy<Dictionary<string, ValueFact>> _facts;
    private readonly HashSet<Node> _layers = new(ReferenceEqualityComparer.Instance);
    private readonly HashSet<Node> _coded = new(ReferenceEqualityComparer.Instance);

    /// <summary>Values that follow from layers by what can be done on codes.</summary>
    private readonly HashSet<string> _following = new(StringComparer.Ordinal);

    /// <summary>Values that lead to layers by what can be done on codes.</summary>
    private readonly HashSet<string> _leading = new(StringComparer.Ordinal);

    private readonly Dictionary<string, string> _groups = new(StringComparer.Ordinal);

    /// <param name="graph">Prepared, float.</param>
    /// <param name="layers">The layers that are quantized.</param>
    /// <param name="products">The products of two activations that are; null: none.</param>
    public CodeRegions(ModelGraph graph, IReadOnlyCollection<WeightLayer> layers, IReadOnlyCollection<ActivationProduct>? products = null)
    {
        products ??= [];
        _index = new(graph);
        _facts = new(() => GraphInference.Infer(graph));
        _layers.UnionWith(layers.Select(l => l.Node).Concat(products.Select(p => p.Node)));
        string[] read = [.. layers.Select(l => l.Activation), .. products.SelectMany(p => p.Factors)];
        foreach (var node in graph.Nodes)
            if (_layers.Contains(node) || IsCodable(node) && DataOf(node).All(_following.Contains)) _following.UnionWith(node.Outputs.Where(o => o.Length > 0));
        _leading.UnionWith(read);
        // The mean or maximum of whole images leaves so little that reading codes pays even where no layer follows.
        _coded.UnionWith(graph.Nodes.Where(n => n.Domain.Length == 0 && Sinks.Contains(n.OpType) && DataOf(n).All(_following.Contains)));
        _leading.UnionWith(_coded.SelectMany(DataOf));
        foreach (var node in graph.Nodes.Reverse())
            if (!_layers.Contains(node) && IsCodable(node) && _leading.Contains(node.Outputs[0])) _leading.UnionWith(DataOf(node));
        _coded.UnionWith(graph.Nodes.Where(n => IsComputed(n) && DataOf(n).All(_following.Contains) && _leading.Contains(n.Outputs[0])));

        Values.UnionWith(read);
        foreach (var node in graph.Nodes.Where(_coded.Contains)) Values.UnionWith(DataOf(node).Where(v => IsQuantizedFor(node, v)));
        foreach (string value in Values) _groups[value] = value;
        foreach (var node in graph.Nodes.Reverse())
            if (KeepsScale(node) && DataOf(node).All(_following.Contains) && _groups.TryGetValue(node.Outputs[0], out string? group))
            {
                // Other tools compute a layer in INT8 only where its own result is quantized, not what is made of it.
                _coded.Add(node);
                Values.UnionWith(DataOf(node));
                foreach (string value in DataOf(node)) Join(value, group);
            }
    }

    /// <summary>The values to quantize.</summary>
    public HashSet<string> Values { get; } = new(StringComparer.Ordinal);

    /// <summary>True where the node is no layer and reads codes, or moves them.</summary>
    public bool IsCoded(Node node) => _coded.Contains(node);

    /// <summary>The activations that a node computes with.</summary>
    public IEnumerable<string> DataOf(Node node) =>
        Movement.Is(_index, node) ? node.Inputs.Take(Movement.DataInputs(node)) : TabulateCodes.Operand(_index, node) is { } operand ? [operand]
        : Pools.Contains(node.OpType) || Movement.Interpolates(node) || node.OpType == "PRelu" ? node.Inputs.Take(1) : node.Inputs;

    /// <summary>The other values to quantize that have the scale of this one, itself among them.</summary>
    public IEnumerable<string> GroupOf(string value) => Values.Where(v => _groups[v] == _groups[value]);

    /// <summary>The u8 codes of a value: so many bits where it follows from layers; what comes from outside has 8.</summary>
    public CodeGrid GridOf(string value, int bits) => bits == 8 || !_following.Contains(value) ? CodeGrid.UInt8 : new(0, (1 << bits) - 1);

    /// <summary>
    /// False where a bound lies right behind what makes the value, which then clamps its codes, and between functions that become one table.
    /// </summary>
    public bool IsQuantizedFor(Node reader, string value)
    {
        if (TabulateCodes.Operand(_index, reader) is null || _index.OnlyConsumerOf(value) is null) return true;
        var producer = _index.Producers.GetValueOrDefault(value);
        if (producer is null || Movement.Is(_index, producer)) return true;
        if (TabulateCodes.Operand(_index, producer) is null) return !IsBound(reader);
        return IsBound(producer) && !IsQuantizedFor(producer, producer.Inputs[0]) && !IsBound(reader);
    }

    private static bool IsBound(Node node) => node.OpType is "Relu" or "Clip";

    /// <summary>What comes out lies in the range of what goes in: means of neighbours do, too.</summary>
    private bool KeepsScale(Node node) => Movement.Is(_index, node) || Movement.Interpolates(node) && Movement.ModeOf(node) == "linear" && _coded.Contains(node);

    private bool IsCodable(Node node) => Movement.Is(_index, node) || IsComputed(node);

    private bool IsComputed(Node node)
    {
        if (node.Domain.Length > 0 || node.Outputs.Length != 1 || _layers.Contains(node)) return false;
        if (Pools.Contains(node.OpType) || Movement.Interpolates(node) || HasSlopes(node) || TabulateCodes.Operand(_index, node) is not null) return true;
        return node.OpType is "Add" or "Mul" && node.Inputs.All(i => _index.Constant(i) is null);
    }

    private bool HasSlopes(Node node) => node is { Domain: "", OpType: "PRelu" } && Slopes.ByChannel(_index, node, _facts.Value[node.Inputs[0]].Shape?.Rank) is not null;

    private void Join(string value, string group)
    {
        if (!_groups.TryGetValue(value, out string? old))
        {
            _groups[value] = group;
            return;
        }
        if (old == group) return;
        foreach (string member in _groups.Where(g => g.Value == old).Select(g => g.Key).ToList()) _groups[member] = group;
    }
}
