using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>Removes nodes that no output needs.</summary>
internal static class RemoveDeadNodes
{
    public static ModelGraph Apply(ModelGraph graph)
    {
        var needed = new HashSet<string>(graph.Outputs.Select(o => o.Name), StringComparer.Ordinal);
        var patch = new GraphPatch(graph);
        foreach (var node in graph.Nodes.Reverse())
            if (node.Outputs.Any(needed.Contains)) needed.UnionWith(node.AllReads());
            else patch.Remove(node);
        return patch.Apply();
    }
}
