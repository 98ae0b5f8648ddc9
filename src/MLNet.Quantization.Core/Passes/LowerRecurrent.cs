using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Ops.Quantized;

namespace MLNet.Quantization.Passes;

/// <summary>Turns recurrent layers between quantizers into the engine's INT8 operators.</summary>
internal static class LowerRecurrent
{
    public static ModelGraph Apply(ModelGraph graph, bool isDynamic)
    {
        var patch = new GraphPatch(graph);
        var index = new GraphIndex(graph);
        foreach (var node in graph.Nodes.Where(RecurrentLayer.IsCandidate))
        {
            if (QuantizedRecurrentPattern.Match(index, node, isDynamic, out _) is not { } layer) continue;
            var attributes = node.Attributes;
            if (layer.Input is { } input) attributes = attributes.With("input_scale", input.Affine.Scale).With("input_zero_point", input.Affine.ZeroPoint);
            long directions = attributes.Get("direction", "forward") == "bidirectional" ? 2 : 1;
            string[] inputs =
            [
                layer.Dequantize?.Inputs[0] ?? node.Inputs[0], Codes(patch, node, "W", layer.W, directions), Codes(patch, node, "R", layer.R, directions),
                Scales(patch, node, "W", layer.W), Scales(patch, node, "R", layer.R), .. node.Inputs.Skip(3),
            ];
            patch.Replace(node, new Node(node.Name, QuantizedRecurrent.TypeOf(node.OpType), [.. inputs], node.Outputs) { Domain = OperatorSet.EngineDomain, Attributes = attributes });
        }
        return patch.Apply();
    }

    private static string Codes(GraphPatch patch, Node node, string part, QuantizedConstant weights, long directions)
    {
        string name = patch.NewName($"{node.DisplayName}_{part}_codes");
        int[] dims = weights.Codes.Dims;
        patch.SetInitializer(name, Tensor.Create(weights.Codes.Span<sbyte>(), (int)directions, dims[0] / (int)directions, dims[1]));
        return name;
    }

    private static string Scales(GraphPatch patch, Node node, string part, QuantizedConstant weights)
    {
        string name = patch.NewName($"{node.DisplayName}_{part}_scales");
        patch.SetInitializer(name, Tensor.Create(weights.Scales, weights.Scales.Length));
        return name;
    }
}
