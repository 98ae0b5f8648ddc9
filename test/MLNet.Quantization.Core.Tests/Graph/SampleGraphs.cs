using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Tests.Graph;

/// <summary>Small graphs made of nodes written as "output = Op(input, input)".</summary>
internal static class SampleGraphs
{
    /// <param name="outputs">Names separated by blanks.</param>
    /// <param name="constants">Names separated by blanks.</param>
    /// <param name="nodes">In the order of the graph.</param>
    public static ModelGraph Of(string outputs, string constants, params ReadOnlySpan<string> nodes) => new()
    {
        Inputs = [new("x", ElementType.Float, new(new Dimension("N"), 3))],
        Outputs = [.. Split(outputs).Select(o => new ValueInfo(o, ElementType.Float, null))],
        Initializers = Onnx.SmallModels.Constants([.. Split(constants).Select(c => (c, Tensor.Scalar(1f)))]),
        Nodes = [.. nodes.ToArray().Select(Node)],
    };

    /// <summary>The body of a branch: no inputs, reads what it names from around it.</summary>
    public static ModelGraph Body(string outputs, params ReadOnlySpan<string> nodes) => Of(outputs, "", nodes) with { Inputs = [] };

    public static Node Node(string text)
    {
        string[] parts = text.Split(" = ");
        int open = parts[1].IndexOf('(', StringComparison.Ordinal);
        string[] inputs = parts[1][(open + 1)..^1].Split(',', StringSplitOptions.TrimEntries);
        return Quantization.Graph.Node.Create("node_" + parts[0], parts[1][..open], inputs is [""] ? [] : inputs, parts[0].Split(',', StringSplitOptions.TrimEntries));
    }

    public static Node If(string text, ModelGraph then, ModelGraph otherwise) =>
        Node(text) with { Attributes = AttributeMap.Empty.With("then_branch", then).With("else_branch", otherwise) };

    public static string[] Names(this ModelGraph graph) => [.. graph.Nodes.Select(n => n.Outputs[0])];

    private static string[] Split(string names) => names.Split(' ', StringSplitOptions.RemoveEmptyEntries);
}
