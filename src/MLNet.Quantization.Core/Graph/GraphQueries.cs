namespace MLNet.Quantization.Graph;

/// <summary>Questions that passes and the engine ask of a graph.</summary>
internal static class GraphQueries
{
    /// <summary>All value names of the graph: inputs, constants and node outputs.</summary>
    public static IEnumerable<string> AllValueNames(this ModelGraph graph) =>
        graph.Inputs.Select(i => i.Name)
            .Concat(graph.Initializers.Keys)
            .Concat(graph.Nodes.SelectMany(n => n.Outputs))
            .Where(n => n.Length > 0);

    /// <summary>The value names of the graph and of all its subgraphs.</summary>
    public static IEnumerable<string> AllValueNamesWithin(this ModelGraph graph) =>
        graph.AllValueNames().Concat(graph.Nodes.SelectMany(n => n.Bodies()).SelectMany(b => b.AllValueNamesWithin()));

    /// <summary>The subgraphs of a node.</summary>
    public static IEnumerable<ModelGraph> Bodies(this Node node) => node.Attributes.Select(a => a.Value).OfType<ModelGraph>();

    /// <summary>What a node reads: its inputs that are not omitted, then what its subgraphs read of the graph around them.</summary>
    public static IEnumerable<string> AllReads(this Node node) =>
        node.Inputs.Where(i => i.Length > 0).Concat(node.Captures());

    /// <summary>Values of the surrounding graph that the node's subgraphs read, each once, in order of first use.</summary>
    public static IReadOnlyList<string> Captures(this Node node)
    {
        List<string>? result = null;
        foreach (string name in node.Bodies().SelectMany(b => b.FreeNames()))
        {
            result ??= [];
            if (!result.Contains(name)) result.Add(name);
        }
        return result ?? (IReadOnlyList<string>)[];
    }

    /// <summary>Values that a subgraph's body reads (or gives out) without defining them, each once.</summary>
    public static IEnumerable<string> FreeNames(this ModelGraph body)
    {
        var defined = new HashSet<string>(body.AllValueNames(), StringComparer.Ordinal);
        return body.Nodes.SelectMany(n => n.AllReads())
            .Concat(body.Outputs.Select(o => o.Name))
            .Where(n => !defined.Contains(n))
            .Distinct(StringComparer.Ordinal);
    }

    /// <summary>The node that defines each value.</summary>
    public static Dictionary<string, Node> Producers(this ModelGraph graph)
    {
        var result = new Dictionary<string, Node>(StringComparer.Ordinal);
        foreach (var node in graph.Nodes)
            foreach (string output in node.Outputs)
                if (output.Length > 0) result[output] = node;
        return result;
    }

    /// <summary>The nodes that read each value, once for each time they read it.</summary>
    public static ILookup<string, Node> Consumers(this ModelGraph graph) =>
        graph.Nodes.SelectMany(n => n.AllReads().Select(r => (Read: r, Node: n))).ToLookup(x => x.Read, x => x.Node, StringComparer.Ordinal);

    public static bool IsOutput(this ModelGraph graph, string name) => graph.Outputs.Any(o => o.Name == name);

    public static ModelGraph WithoutUnusedInitializers(this ModelGraph graph)
    {
        var used = new HashSet<string>(graph.Nodes.SelectMany(n => n.AllReads()).Concat(graph.Outputs.Select(o => o.Name)), StringComparer.Ordinal);
        var unused = graph.Initializers.Keys.Where(k => !used.Contains(k)).ToList();
        return unused.Count == 0 ? graph : graph with { Initializers = graph.Initializers.RemoveRange(unused) };
    }
}
