using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>
/// LSTM of a dynamic model as ONNX Runtime's DynamicQuantizeLSTM, which gives the inputs of all steps one scale. Its W and R are the
/// standard's with the last two axes turned. It has no such operator for GRU and RNN, which stay float on INT8 weights.
/// </summary>
internal static class WriteRecurrentLayers
{
    public static ModelGraph Apply(ModelGraph graph)
    {
        var patch = new GraphPatch(graph);
        var index = new GraphIndex(graph);
        var constants = new CodeConstants(patch);
        foreach (var node in graph.Nodes.Where(n => n is { Domain: "", OpType: "LSTM" } && n.Attributes.Get("layout", 0L) == 0))
        {
            if (QuantizedRecurrentPattern.Match(index, node, isDynamic: true, out _) is not { Input: null } layer) continue;
            int directions = node.Attributes.Get("direction", "forward") == "bidirectional" ? 2 : 1;
            string[] parts = [Weights(constants, node, "W", layer.W, directions), Weights(constants, node, "R", layer.R, directions)];
            string[] scales = [.. Scales(constants, node, "W", layer.W, directions), .. Scales(constants, node, "R", layer.R, directions)];
            string[] rest = [.. Enumerable.Range(FirstOptional, Optionals).Select(i => node.Input(i) ?? "")];
            patch.Replace(node, new Node(node.Name, "DynamicQuantizeLSTM", [node.Inputs[0], .. parts, .. rest, .. scales], node.Outputs) { Domain = WriteQOperator.RuntimeDomain, Attributes = node.Attributes.Without("layout") });
        }
        return patch.Apply();
    }

    /// <summary>B, sequence_lens, initial_h, initial_c and P.</summary>
    private const int FirstOptional = 3, Optionals = 5;

    private static string Weights(CodeConstants constants, Node node, string part, QuantizedConstant weights, int directions) =>
        constants.New($"{node.DisplayName}_{part}", Tensor.Create(weights.Turned(directions), directions, weights.Codes.Dims[1], weights.Codes.Dims[0] / directions));

    private static string[] Scales(CodeConstants constants, Node node, string part, QuantizedConstant weights, int directions)
    {
        int[] dims = [directions, weights.Scales.Length / directions];
        return
        [
            constants.New($"{node.DisplayName}_{part}_scale", Tensor.Create(weights.Scales, dims)),
            constants.New($"{node.DisplayName}_{part}_zero_point", Tensor.Create(new sbyte[weights.Scales.Length], dims)),
        ];
    }
}
