using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>Raises the operator set version to one that has the quantizers needed: 10, or 13 for scales by channel.</summary>
internal static class RaiseOpset
{
    /// <summary>Operators whose meaning and form is the same from opset 7 to 13.</summary>
    private static readonly string[] Unchanged =
    [
        "Gemm", "MatMul", "Relu", "LeakyRelu", "Add", "Sub", "Mul", "Div", "Sigmoid", "Tanh", "Flatten", "Reshape", "Transpose", "Concat",
        "Identity", "Cast", "Constant", "Shape", "Gather", "Abs", "Neg", "Exp", "Log", "Sqrt", "QuantizeLinear", "DequantizeLinear",
    ];

    /// <exception cref="UnsupportedOperatorException">A node would change its meaning.</exception>
    public static ModelGraph ForQuantization(ModelGraph graph, WeightGranularity granularity)
    {
        int needed = granularity == WeightGranularity.PerChannel ? 13 : 10;
        if (graph.Opset >= needed) return graph;
        foreach (var node in graph.Nodes)
            if (node.Domain.Length == 0 && !Unchanged.Contains(node.OpType))
                throw new UnsupportedOperatorException(
                    FormattableString.Invariant($"The model has opset {graph.Opset}; {granularity} quantization needs {needed}, in which node '{node.DisplayName}' ({node.OpType}) may mean something else."),
                    node.DisplayName, node.OpType);
        return graph with { OpsetImports = graph.OpsetImports.SetItem("", needed) };
    }
}
