using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>Removes Identity and Dropout (which is the identity when scoring) unless they make a graph output or a mask that is read.</summary>
internal static class RemoveIdentity
{
    public static ModelGraph Apply(ModelGraph graph)
    {
        while (graph.Nodes.FirstOrDefault(n => CanGo(graph, n)) is { } node)
            graph = new GraphPatch(graph).Remove(node).RenameUses(node.Outputs[0], node.Inputs[0]).Apply();
        return graph;
    }

    // A value that a subgraph captures is left alone: uses inside the body are not renamed.
    private static bool CanGo(ModelGraph graph, Node node) =>
        node.Domain.Length == 0 && node.OpType is "Identity" or "Dropout" && !node.Outputs.Any(graph.IsOutput)
        && node.Outputs.Skip(1).All(o => o.Length == 0 || !graph.Consumers()[o].Any())
        && !graph.Nodes.Any(n => n.Captures().Contains(node.Outputs[0]));
}
