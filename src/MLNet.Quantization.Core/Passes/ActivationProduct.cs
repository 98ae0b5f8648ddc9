using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>
/// A MatMul whose factors are both computed, as attention has them. It stays float unless asked for: in the static form quantizers stand
/// around both factors; in the dynamic one, where no operator of ONNX could say so, a metadata property names the results of those in INT8.
/// </summary>
/// <param name="Node">The MatMul.</param>
internal sealed record ActivationProduct(Node Node)
{
    /// <summary>Metadata property: the results, one a line.</summary>
    private const string Property = "mlnet.quantization.activation_products";

    /// <summary>What the report says of one in INT8; the range that it gives is that of the left factor.</summary>
    public const string Note = "a product of two activations";

    private const char Separator = '\n';

    public IEnumerable<string> Factors => Node.Inputs;

    /// <summary>The node as such a product, or null.</summary>
    public static ActivationProduct? Match(Node node, ModelGraph graph) =>
        node is { Domain: "", OpType: "MatMul", Inputs.Length: 2 } && !node.Inputs.Any(graph.Initializers.ContainsKey) ? new(node) : null;

    public static IEnumerable<ActivationProduct> AllOf(ModelGraph graph) => graph.Nodes.Select(n => Match(n, graph)).OfType<ActivationProduct>();

    /// <summary>The graph with the property that says which are in INT8.</summary>
    public static ModelGraph Mark(ModelGraph graph, IReadOnlyCollection<ActivationProduct> products)
    {
        if (products.Count == 0) return graph;
        string names = string.Join(Separator, products.Select(p => p.Node.Outputs[0]));
        return graph with { Metadata = graph.Metadata with { Properties = graph.Metadata.Properties.SetItem(Property, names) } };
    }

    /// <summary>Results of the products that the graph's property names.</summary>
    public static IReadOnlySet<string> Marked(ModelGraph graph) =>
        (graph.Metadata.Properties.GetValueOrDefault(Property)?.Split(Separator) ?? []).ToHashSet(StringComparer.Ordinal);
}

/// <summary>A MatMul between quantizers that the engine computes in INT8 with fixed scales: both factors behind DequantizeLinear. Lowering and the report of a file ask here.</summary>
/// <param name="Left">What makes the left factor of its codes.</param>
/// <param name="A">Parameters of those codes.</param>
/// <param name="Right">What makes the right factor.</param>
/// <param name="B">Parameters of its codes.</param>
internal sealed record QuantizedProductPattern(Node Left, CodeParameters A, Node Right, CodeParameters B)
{
    public static QuantizedProductPattern? Match(GraphIndex index, Node node)
    {
        if (ActivationProduct.Match(node, index.Graph) is null) return null;
        Node? left = index.ProducerOf(node.Inputs[0], "DequantizeLinear"), right = index.ProducerOf(node.Inputs[1], "DequantizeLinear");
        if (QuantizedValue.PerTensor(index, left) is not { } a || QuantizedValue.PerTensor(index, right) is not { } b) return null;
        return index.Constant(left!.Inputs[0]) is null && index.Constant(right!.Inputs[0]) is null ? new(left, a, right, b) : null;
    }
}
