using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Puts the branch that is taken in the place of an If whose condition follows from constants and shapes, so that the layers within can be
/// quantized and fused like any other. Branches of branches follow, one sweep each.
/// </summary>
internal static class InlineIf
{
    public static ModelGraph Apply(ModelGraph graph)
    {
        while (graph.Nodes.Any(n => n is { OpType: "If", Domain: "" }))
        {
            var inlined = Sweep(graph, GraphInference.Infer(graph));
            if (ReferenceEquals(inlined, graph)) return graph;
            graph = RemoveIdentity.Apply(FoldConstants.Apply(inlined));
        }
        return graph;
    }

    private static ModelGraph Sweep(ModelGraph graph, IReadOnlyDictionary<string, ValueFact> facts)
    {
        var patch = new GraphPatch(graph);
        foreach (var node in graph.Nodes)
        {
            if (node is not { OpType: "If", Domain: "" } || !facts.TryGetValue(node.Inputs[0], out var condition) || condition.Value is not { Type: ElementType.Bool, Count: 1 } value) continue;
            if (node.Attributes.Find(value.Span<bool>()[0] ? "then_branch" : "else_branch") is not ModelGraph { Inputs.IsEmpty: true } body) continue;
            patch.Remove(node);
            Inline(patch, node, body);
        }
        return patch.Apply();
    }

    /// <summary>Values of the branch get names of their own; its results the names of the node's outputs.</summary>
    private static void Inline(GraphPatch patch, Node node, ModelGraph body)
    {
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string value in body.AllValueNames()) names[value] = patch.NewName(value);
        foreach (var (name, constant) in body.Initializers) patch.SetInitializer(names[name], constant);
        foreach (var inner in body.Nodes) patch.Add(GraphPatch.Rename(inner, names) with { Outputs = [.. inner.Outputs.Select(o => names.GetValueOrDefault(o, o))] });
        for (int i = 0; i < node.Outputs.Length; i++)
        {
            string result = body.Outputs[i].Name;
            if (node.Outputs[i].Length > 0) patch.Add(Node.Create(patch.NewName($"{node.DisplayName}_result"), "Identity", [names.GetValueOrDefault(result, result)], [node.Outputs[i]]));
        }
    }
}
