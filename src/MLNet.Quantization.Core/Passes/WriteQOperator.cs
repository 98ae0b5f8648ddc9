using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Writes a graph in QDQ form with operators that compute on codes: QLinearConv, QLinearMatMul and, of ONNX Runtime's own operators (domain
/// com.microsoft), QGemm, QLinearAdd and kin. Data movement stands on codes. In a dynamic model, layers become DynamicQuantizeLinear,
/// MatMulInteger or ConvInteger, and their result in float; LSTM becomes DynamicQuantizeLSTM. What has no such operator stays between its quantizers.
/// </summary>
/// <remarks>https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md.</remarks>
internal static class WriteQOperator
{
    /// <summary>Domain of the operators that ONNX Runtime adds to the standard's.</summary>
    public const string RuntimeDomain = "com.microsoft";

    public static ModelGraph Apply(ModelGraph graph)
    {
        graph = WriteMovement(LowerQuantized.Normalize(graph));
        graph = RemoveDeadNodes.Apply(WriteCodes.Apply(graph));
        graph = RemoveDeadNodes.Apply(LowerQuantized.IsDynamic(graph) ? WriteIntegerLayers.Apply(WriteRecurrentLayers.Apply(graph)) : WriteLayers.Apply(graph));
        return graph.Nodes.Any(n => n.Domain == RuntimeDomain) ? graph with { OpsetImports = graph.OpsetImports.SetItem(RuntimeDomain, 1) } : graph;
    }

    /// <summary>Bounds on codes where the range of their type does not bound them already: adds Clip, and gives the name that goes before it.</summary>
    public static string Bounded(GraphPatch patch, CodeConstants constants, Epilogue end)
    {
        string output = end.Nodes[^1].Outputs[0];
        var grid = end.Output.Grid;
        if (end.ClampMin <= grid.Min && end.ClampMax >= grid.Max) return output;
        string codes = patch.NewName($"{output}_unbounded");
        patch.Add(Node.Create(patch.NewName($"{output}_Clip"), "Clip", [codes, constants.Code(end.ClampMin, end.Output.Type), constants.Code(end.ClampMax, end.Output.Type)], [output]));
        return codes;
    }

    /// <summary>The maximum of whole images on codes: the standard has GlobalMaxPool for floats only, ReduceMax for 8-bit integers too.</summary>
    private static ModelGraph WriteMovement(ModelGraph graph)
    {
        var patch = new GraphPatch(graph);
        var facts = GraphInference.Infer(graph);
        foreach (var node in graph.Nodes.Where(n => n.Domain.Length == 0 && n.OpType == "GlobalMaxPool" && facts[n.Inputs[0]].Type is ElementType.UInt8 or ElementType.Int8))
        {
            if (facts[node.Inputs[0]].Shape?.Rank is not { } rank) continue;
            long[] axes = [.. Enumerable.Range(2, rank - 2)];
            var maximum = node with { OpType = "ReduceMax", Attributes = AttributeMap.Empty.With("keepdims", 1) };
            if (graph.Opset < 18) maximum = maximum with { Attributes = maximum.Attributes.With("axes", System.Collections.Immutable.ImmutableArray.Create(axes)) };
            else
            {
                string list = patch.NewName($"{node.DisplayName}_axes");
                patch.SetInitializer(list, Tensor.Create(axes, axes.Length));
                maximum = maximum with { Inputs = [node.Inputs[0], list] };
            }
            patch.Replace(node, maximum);
        }
        return patch.Apply();
    }
}
