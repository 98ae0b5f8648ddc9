using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>A node of a float graph whose weights are constant, so that it can be computed in INT8.</summary>
/// <param name="Node">The node.</param>
/// <param name="Activation">The value that it multiplies by weights.</param>
internal abstract record WeightLayer(Node Node, string Activation)
{
    /// <summary>True for operators that are quantized.</summary>
    public static bool IsCandidate(Node node) => LinearLayer.IsCandidate(node) || RecurrentLayer.IsCandidate(node);

    /// <summary>The node as a layer, or null with the reason why it cannot be quantized.</summary>
    public static WeightLayer? Match(Node node, ModelGraph graph, out string reason) =>
        RecurrentLayer.IsCandidate(node) ? RecurrentLayer.Match(node, graph, out reason) : LinearLayer.Match(node, graph, out reason);

    /// <summary>All layers of a graph that can be quantized.</summary>
    public static IEnumerable<WeightLayer> AllOf(ModelGraph graph) => graph.Nodes.Where(IsCandidate).Select(n => Match(n, graph, out _)).OfType<WeightLayer>();
}
