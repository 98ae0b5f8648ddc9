using System.Collections.Immutable;

namespace MLNet.Quantization.Graph;

/// <summary>
/// An edit of a graph, collected and then applied at once. The result is brought into topological order and verified, so that a pass
/// can neither leave a dangling name nor a cycle behind. The graph it was made for is not changed.
/// </summary>
internal sealed class GraphPatch(ModelGraph graph)
{
    private readonly HashSet<Node> _nodes = new(graph.Nodes, ReferenceEqualityComparer.Instance);
    private readonly HashSet<Node> _removed = new(ReferenceEqualityComparer.Instance);
    private readonly List<Node> _added = [];
    private readonly Dictionary<string, Tensor?> _initializers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _renamedUses = new(StringComparer.Ordinal);
    private readonly HashSet<string> _reserved = new(graph.AllValueNamesWithin(), StringComparer.Ordinal);

    /// <summary>True where nothing was asked for.</summary>
    public bool IsEmpty => _removed.Count == 0 && _added.Count == 0 && _initializers.Count == 0 && _renamedUses.Count == 0;

    /// <summary>A value name that neither the graph nor a subgraph uses, made from <paramref name="stem"/>, and reserved.</summary>
    public string NewName(string stem)
    {
        string name = stem;
        for (int i = 1; !_reserved.Add(name); i++) name = $"{stem}_{i}";
        return name;
    }

    /// <exception cref="ArgumentException">The node is not one of the graph's: the patch was made for another version of it.</exception>
    public GraphPatch Remove(Node node)
    {
        if (!_nodes.Contains(node)) throw new ArgumentException($"Node '{node.DisplayName}' is not one of the graph that is edited.", nameof(node));
        _removed.Add(node);
        return this;
    }

    public GraphPatch Add(Node node)
    {
        _added.Add(node);
        return this;
    }

    public GraphPatch Replace(Node node, params ReadOnlySpan<Node> by)
    {
        Remove(node);
        foreach (var n in by) Add(n);
        return this;
    }

    /// <summary>Adds or replaces a constant.</summary>
    public GraphPatch SetInitializer(string name, Tensor value)
    {
        _initializers[name] = value;
        return this;
    }

    public GraphPatch RemoveInitializer(string name)
    {
        _initializers[name] = null;
        return this;
    }

    /// <summary>
    /// Every node of the old graph, subgraphs included, that reads <paramref name="from"/> will read <paramref name="to"/>. Nodes added by this patch are
    /// left as they are. A graph output keeps its name: reroute it by giving that name to the new producer.
    /// </summary>
    public GraphPatch RenameUses(string from, string to)
    {
        _renamedUses[from] = to;
        return this;
    }

    /// <summary>The edited graph, in topological order, without unused constants, verified.</summary>
    /// <exception cref="ModelFormatException">The edit leaves a value undefined, defined twice, or in a cycle.</exception>
    public ModelGraph Apply()
    {
        if (IsEmpty) return graph;
        var kept = graph.Nodes.Where(n => !_removed.Contains(n)).Select(n => Rename(n, _renamedUses));
        var initializers = graph.Initializers.ToBuilder();
        foreach (var (name, value) in _initializers)
        {
            if (value is null) initializers.Remove(name);
            else initializers[name] = value;
        }
        var edited = graph with { Nodes = [.. kept, .. _added], Initializers = initializers.ToImmutable(), ValueInfos = [] };
        var sorted = edited with { Nodes = GraphOrder.Sort(edited) };
        return GraphOrder.Verify(sorted.WithoutUnusedInitializers());
    }

    /// <summary>The node, with what its subgraphs read from outside, reading other values.</summary>
    public static Node Rename(Node node, IReadOnlyDictionary<string, string> names)
    {
        if (!node.AllReads().Any(names.ContainsKey)) return node;
        var attributes = node.Attributes;
        foreach (var (name, value) in node.Attributes)
            if (value is ModelGraph body) attributes = attributes.With(name, Rename(body, names));
        return node with { Inputs = [.. node.Inputs.Select(i => names.GetValueOrDefault(i, i))], Attributes = attributes };
    }

    /// <summary>A subgraph reads a value of the graph around it unless it has one of that name itself.</summary>
    private static ModelGraph Rename(ModelGraph body, IReadOnlyDictionary<string, string> names)
    {
        var own = body.AllValueNames().ToHashSet(StringComparer.Ordinal);
        var seen = names.Where(n => !own.Contains(n.Key)).ToDictionary(StringComparer.Ordinal);
        return body with
        {
            Nodes = [.. body.Nodes.Select(n => Rename(n, seen))],
            Outputs = [.. body.Outputs.Select(o => o with { Name = seen.GetValueOrDefault(o.Name, o.Name) })],
        };
    }
}
