using System.Collections.Immutable;

namespace MLNet.Quantization.Graph;

/// <summary>Topological order, and the rules that every graph obeys.</summary>
internal static class GraphOrder
{
    /// <summary>The nodes in topological order; those that are free keep the order they had.</summary>
    /// <exception cref="ModelFormatException">The nodes form a cycle, or two of them define one value.</exception>
    public static ImmutableArray<Node> Sort(ModelGraph graph)
    {
        var producer = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int i = 0; i < graph.Nodes.Length; i++)
            foreach (string output in graph.Nodes[i].Outputs)
                if (output.Length > 0 && !producer.TryAdd(output, i))
                    throw new ModelFormatException(
                        $"Value '{output}' is defined by both node '{graph.Nodes[producer[output]].DisplayName}' and node '{graph.Nodes[i].DisplayName}'.",
                        graph.Nodes[i].DisplayName, output);

        var waitsFor = new int[graph.Nodes.Length];
        var readers = new List<int>[graph.Nodes.Length];
        for (int i = 0; i < readers.Length; i++) readers[i] = [];
        for (int i = 0; i < graph.Nodes.Length; i++)
            foreach (string input in graph.Nodes[i].AllReads())
                if (producer.TryGetValue(input, out int p))
                {
                    waitsFor[i]++;
                    readers[p].Add(i);
                }

        var ready = new PriorityQueue<int, int>();
        for (int i = 0; i < waitsFor.Length; i++)
            if (waitsFor[i] == 0) ready.Enqueue(i, i);
        var sorted = ImmutableArray.CreateBuilder<Node>(graph.Nodes.Length);
        while (ready.TryDequeue(out int i, out _))
        {
            sorted.Add(graph.Nodes[i]);
            foreach (int r in readers[i])
                if (--waitsFor[r] == 0) ready.Enqueue(r, r);
        }
        if (sorted.Count < graph.Nodes.Length)
        {
            var cycle = Cycle(graph, producer, waitsFor);
            throw new ModelFormatException($"The graph has a cycle: {string.Join(" -> ", cycle.Select(n => $"'{n.DisplayName}'"))}.", cycle[0].DisplayName);
        }
        return sorted.MoveToImmutable();
    }

    /// <summary>A cycle among the nodes that still wait, its first node again at the end. Each of them waits for another one, so going back must meet one twice.</summary>
    private static List<Node> Cycle(ModelGraph graph, Dictionary<string, int> producer, int[] waitsFor)
    {
        int WaitedFor(int node) => graph.Nodes[node].AllReads().Select(r => producer.GetValueOrDefault(r, -1)).First(p => p >= 0 && waitsFor[p] > 0);

        List<int> path = [Array.FindIndex(waitsFor, w => w > 0)];
        while (path.IndexOf(WaitedFor(path[^1])) < 0) path.Add(WaitedFor(path[^1]));
        path.RemoveRange(0, path.IndexOf(WaitedFor(path[^1])));
        path.Add(path[0]);
        path.Reverse();
        return [.. path.Select(i => graph.Nodes[i])];
    }

    /// <summary>
    /// Checks that every value that is read is defined before it, and that every graph output is defined; the same in all subgraphs, which
    /// see what is defined before their node.
    /// </summary>
    /// <param name="graph">In topological order.</param>
    /// <param name="outer">Values of the graph around a subgraph, or null.</param>
    /// <returns><paramref name="graph"/>.</returns>
    public static ModelGraph Verify(ModelGraph graph, IReadOnlySet<string>? outer = null)
    {
        var defined = new HashSet<string>(graph.Initializers.Keys, StringComparer.Ordinal);
        foreach (var input in graph.Inputs)
            if (!defined.Add(input.Name)) throw new ModelFormatException($"Input '{input.Name}' is declared twice or is also a constant.", null, input.Name);
        foreach (var node in graph.Nodes)
        {
            foreach (string read in node.AllReads())
                if (!defined.Contains(read) && outer?.Contains(read) != true)
                    throw new ModelFormatException($"Node '{node.DisplayName}' ({node.OpType}) reads value '{read}', which nothing defines before it.", node.DisplayName, read);
            VerifyBodies(node, defined, outer);
            foreach (string output in node.Outputs)
                if (output.Length > 0 && !defined.Add(output))
                    throw new ModelFormatException($"Node '{node.DisplayName}' ({node.OpType}) defines value '{output}', which is defined already.", node.DisplayName, output);
        }
        foreach (var output in graph.Outputs)
            if (!defined.Contains(output.Name) && outer?.Contains(output.Name) != true)
                throw new ModelFormatException($"Graph output '{output.Name}' is not defined by any node, input or constant.", null, output.Name);
        return graph;
    }

    private static void VerifyBodies(Node node, IReadOnlySet<string> defined, IReadOnlySet<string>? outer)
    {
        HashSet<string>? visible = null;
        foreach (var (_, value) in node.Attributes)
        {
            if (value is not ModelGraph body) continue;
            if (visible is null)
            {
                visible = new(defined, StringComparer.Ordinal);
                if (outer is not null) visible.UnionWith(outer);
            }
            Verify(body, visible);
        }
    }
}
