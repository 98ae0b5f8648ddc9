using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>Rewrites a model of operator set 13 or later as one of a later set, up to 20, for an operator that only that has.</summary>
/// <remarks>Version history of each operator: https://github.com/onnx/onnx/blob/main/docs/Changelog.md.</remarks>
internal static class LaterOpset
{
    /// <summary>The first set in which the axes of these are an input.</summary>
    private const int AxesAreInputs = 18;

    /// <summary>Operators that mean the same, written the same, in all versions from 13 to 20 that have them.</summary>
    private static readonly ImmutableHashSet<string> Unchanged = ImmutableHashSet.Create(
        StringComparer.Ordinal,
        "Abs", "Add", "And", "ArgMax", "ArgMin", "Cast", "Ceil", "Celu", "Clip", "Concat", "Constant", "ConstantOfShape", "Conv", "ConvTranspose", "Cos", "CumSum",
        "DepthToSpace", "DequantizeLinear", "Div", "Dropout", "DynamicQuantizeLinear", "Elu", "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor", "GRU", "Gather",
        "GatherElements", "GatherND", "Gelu", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity",
        "InstanceNormalization", "LRN", "LSTM", "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax", "MatMul", "MatMulInteger", "Max", "MaxPool", "MaxUnpool",
        "Mean", "Min", "Mish", "Mul", "Neg", "NonMaxSuppression", "Not", "OneHot", "Or", "PRelu", "Pad", "Pow", "QLinearMatMul", "QuantizeLinear", "RNN", "Range", "Reciprocal", "ReduceSum",
        "Relu", "Reshape", "Selu", "Shape", "Sigmoid", "Sign", "Sin", "Size", "Slice", "Softmax", "Softplus", "Softsign", "SpaceToDepth", "Sqrt", "Squeeze", "Sub", "Sum",
        "Tanh", "Tile", "TopK", "Transpose", "Unsqueeze", "Where", "Xor");

    private static readonly ImmutableHashSet<string> Reductions = ImmutableHashSet.Create(
        StringComparer.Ordinal, "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSumSquare");

    /// <summary>False where what a node becomes is not known here; it may have a subgraph, too.</summary>
    public static bool CanRaise(ModelGraph graph, int to) =>
        graph.Opset >= to || graph.Opset >= RaiseOpset.Target && graph.Nodes.All(n => !n.Bodies().Any() && (!IsStandard(n) || CanRaise(n)));

    /// <summary>The graph as one of set <paramref name="to"/>, or as it is where it has that or a later one; only after <see cref="CanRaise(ModelGraph, int)"/>.</summary>
    public static ModelGraph Raise(ModelGraph graph, int to)
    {
        if (graph.Opset >= to) return graph;
        var patch = new GraphPatch(graph);
        if (graph.Opset < AxesAreInputs && to >= AxesAreInputs)
        {
            foreach (var node in graph.Nodes)
                if (IsStandard(node)) Raise(patch, node);
        }
        var raised = patch.Apply();
        int ir = to >= 19 ? 9 : to >= 15 ? 8 : 7;
        return raised with
        {
            OpsetImports = raised.OpsetImports.SetItem("", to),
            Metadata = raised.Metadata with { IrVersion = Math.Max(raised.Metadata.IrVersion, ir) },
            ValueInfos = [],
        };
    }

    private static bool IsStandard(Node node) => node.Domain is "" or "ai.onnx";

    private static bool CanRaise(Node node) => node.OpType switch
    {
        "BatchNormalization" => node.Outputs.Count(o => o.Length > 0) == 1, // 14 has others
        "AveragePool" => node.Attributes.Get("ceil_mode", 0L) == 0, // 19 says anew what windows count
        "Split" => true,
        _ => Unchanged.Contains(node.OpType) || Reductions.Contains(node.OpType),
    };

    private static void Raise(GraphPatch patch, Node node)
    {
        if (Reductions.Contains(node.OpType) && node.Attributes.Get("axes", default(ImmutableArray<long>)) is { IsDefault: false } axes)
        {
            string name = patch.NewName($"{node.DisplayName}_axes");
            patch.SetInitializer(name, Tensor.Create(axes.AsSpan(), axes.Length));
            patch.Replace(node, node with { Inputs = [node.Inputs[0], name], Attributes = node.Attributes.Without("axes") });
        }
        else if (node.OpType == "Split" && node.Input(1) is null)
        {
            patch.Replace(node, node with { Attributes = node.Attributes.With("num_outputs", (long)node.Outputs.Length) });
        }
    }
}
