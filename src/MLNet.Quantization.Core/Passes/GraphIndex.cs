using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>A graph with who makes and who reads each value, worked out once for a pass.</summary>
internal sealed class GraphIndex(ModelGraph graph)
{
    public ModelGraph Graph { get; } = graph;

    public Dictionary<string, Node> Producers { get; } = graph.Producers();

    public ILookup<string, Node> Consumers { get; } = graph.Consumers();

    /// <summary>The standard's node of type <paramref name="opType"/> that makes the value, or null.</summary>
    public Node? ProducerOf(string value, string opType) =>
        Producers.GetValueOrDefault(value) is { Domain: "" } node && node.OpType == opType ? node : null;

    /// <summary>The node that reads the value, where it is the only one, reads it once and nobody outside sees it; else null.</summary>
    public Node? OnlyConsumerOf(string value) =>
        !Graph.IsOutput(value) && Consumers[value].Take(2).ToList() is [var only] ? only : null;

    public Tensor? Constant(string? value) => value is null ? null : Graph.Initializers.GetValueOrDefault(value);

    public bool IsInput(string value) => Graph.Inputs.Any(i => i.Name == value);
}
