using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Removes Identity, and Dropout where it is the identity: where training_mode is omitted or a constant false. One that makes a graph
/// output, or a mask that is read, stays.
/// </summary>
internal static class RemoveIdentity
{
    public static ModelGraph Apply(ModelGraph graph)
    {
        while (graph.Nodes.FirstOrDefault(n => CanGo(graph, n)) is { } node)
            graph = new GraphPatch(graph).Remove(node).RenameUses(node.Outputs[0], node.Inputs[0]).Apply();
        return graph;
    }

    private static bool CanGo(ModelGraph graph, Node node)
    {
        if (node.Domain.Length > 0 || node.Outputs.Any(graph.IsOutput)) return false;
        if (node.OpType == "Identity") return true;
        return node.OpType == "Dropout" && IsScoring(graph, node) && node.Outputs.Skip(1).All(o => o.Length == 0 || !graph.Consumers()[o].Any());
    }

    private static bool IsScoring(ModelGraph graph, Node dropout) =>
        dropout.Input(2) is not { } training || graph.Initializers.TryGetValue(training, out var value) && !value.Bytes.Span.ContainsAnyExcept((byte)0);
}
