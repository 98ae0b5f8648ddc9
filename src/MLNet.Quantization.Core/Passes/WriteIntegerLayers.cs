using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Layers of a dynamic model as the standard has them: DynamicQuantizeLinear, which gives the whole tensor one scale, then MatMulInteger or
/// ConvInteger, Cast, Mul by both scales, and Add of the float bias. ConvTranspose, which has none, stays behind its dequantized weights.
/// </summary>
internal static class WriteIntegerLayers
{
    public static ModelGraph Apply(ModelGraph graph)
    {
        var patch = new GraphPatch(graph);
        var index = new GraphIndex(graph);
        var constants = new CodeConstants(patch);
        var quantized = new Dictionary<string, (string Codes, string Scale, string Zero)>(StringComparer.Ordinal);
        foreach (var node in graph.Nodes.Where(LinearLayer.IsCandidate))
        {
            if (QuantizedLinearPattern.Match(index, node, isDynamic: true, out _) is not { Input: null, IsTransposedConvolution: false } layer) continue;
            string x = node.Inputs[0];
            if (!quantized.TryGetValue(x, out var input)) quantized.Add(x, input = Quantize(patch, x));
            Write(patch, constants, layer, input);
            patch.Remove(node);
            if (!ReferenceEquals(layer.Last, node)) patch.Remove(layer.Last);
        }
        return patch.Apply();
    }

    private static (string Codes, string Scale, string Zero) Quantize(GraphPatch patch, string x)
    {
        (string Codes, string Scale, string Zero) made = (patch.NewName($"{x}_codes"), patch.NewName($"{x}_scale"), patch.NewName($"{x}_zero_point"));
        patch.Add(Node.Create(patch.NewName($"{x}_DynamicQuantizeLinear"), "DynamicQuantizeLinear", [x], [made.Codes, made.Scale, made.Zero]));
        return made;
    }

    private static void Write(GraphPatch patch, CodeConstants constants, QuantizedLinearPattern layer, (string Codes, string Scale, string Zero) input)
    {
        string stem = layer.Node.DisplayName, output = layer.Last.Outputs[0];
        string sums = patch.NewName($"{stem}_sums"), real = patch.NewName($"{stem}_float_sums"), scale = patch.NewName($"{stem}_scale");
        string weights = constants.Weights(stem, layer.Weights, transpose: layer.Transposed && !layer.IsConvolution);
        // What belongs to a channel stands along axis 1 of a convolution's result, along the last of a product's.
        int[] ones = [.. Enumerable.Repeat(1, layer.IsConvolution ? layer.Weights.Codes.Rank - 2 : 0)];
        string weightScales = constants.New($"{stem}_weight_scales", Tensor.Create(layer.Weights.Scales, [layer.Weights.Scales.Length, .. ones]));
        var integer = Node.Create(patch.NewName($"{stem}_integer"), layer.IsConvolution ? "ConvInteger" : "MatMulInteger", [input.Codes, weights, input.Zero], [sums]);
        patch.Add(layer.IsConvolution ? integer with { Attributes = layer.Node.Attributes } : integer);
        patch.Add(Node.Create(patch.NewName($"{stem}_Cast"), "Cast", [sums], [real]) with { Attributes = AttributeMap.Empty.With("to", (long)ElementType.Float) });
        patch.Add(Node.Create(patch.NewName($"{stem}_scales_Mul"), "Mul", [input.Scale, weightScales], [scale]));
        string product = layer.Bias is null ? output : patch.NewName($"{stem}_product");
        patch.Add(Node.Create(patch.NewName($"{stem}_Mul"), "Mul", [real, scale], [product]));
        if (layer.Bias is not { } bias) return;
        string row = constants.New($"{stem}_bias", Tensor.Create(bias, [bias.Length, .. ones]));
        patch.Add(Node.Create(patch.NewName($"{stem}_Add"), "Add", [product, row], [output]));
    }
}
