using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Layers and products of two activations between quantizers as QLinearConv, QLinearMatMul, or ONNX Runtime's QGemm and MatMulIntegerToFloat, which alone have a bias or a
/// float result. The bias is int32 at Sa · Sw.
/// </summary>
internal static class WriteLayers
{
    public static ModelGraph Apply(ModelGraph graph)
    {
        var patch = new GraphPatch(graph);
        var index = new GraphIndex(graph);
        var constants = new CodeConstants(patch);
        foreach (var node in graph.Nodes.Where(LinearLayer.IsCandidate))
        {
            if (QuantizedProductPattern.Match(index, node) is { } product)
            {
                Product(patch, constants, node, product, Epilogue.Match(index, node));
                continue;
            }
            // There is no such operator for transposed convolutions.
            if (QuantizedLinearPattern.Match(index, node, isDynamic: false, out _) is not { IsTransposedConvolution: false } layer) continue;
            // The operators make codes of the type that they read.
            var end = Epilogue.Match(index, layer.Last) is { } e && e.Output.Type == layer.Input!.Value.Type ? e : null;
            if (node.OpType == "MatMul") MatMul(patch, constants, layer, layer.Bias is null ? end : null);
            else if (layer.BiasCodes is null || layer.IsConvolution && end is null) continue;
            else Put(patch, layer, end, BiasedLayer(patch, constants, layer, end));
        }
        return patch.Apply();
    }

    /// <summary>A product of two activations; codes come out where they have the left factor's type.</summary>
    private static void Product(GraphPatch patch, CodeConstants constants, Node node, QuantizedProductPattern product, Epilogue? end)
    {
        string a = product.Left.Inputs[0], b = product.Right.Inputs[0], stem = node.DisplayName;
        string aScale = constants.Scale(product.A), aZero = constants.Zero(product.A), bScale = constants.Scale(product.B), bZero = constants.Zero(product.B);
        if (end is null || end.Output.Type != product.A.Type)
        {
            patch.Replace(node, new Node(stem, "MatMulIntegerToFloat", [a, b, aScale, bScale, aZero, bZero], node.Outputs) { Domain = WriteQOperator.RuntimeDomain });
            return;
        }
        patch.Replace(node, new Node(stem, "QLinearMatMul", [a, aScale, aZero, b, bScale, bZero, constants.Scale(end.Output), constants.Zero(end.Output)], [WriteQOperator.Bounded(patch, constants, end)]));
        foreach (var absorbed in end.Nodes) patch.Remove(absorbed);
    }

    private static void MatMul(GraphPatch patch, CodeConstants constants, QuantizedLinearPattern layer, Epilogue? end)
    {
        var input = layer.Input!.Value;
        string stem = layer.Node.DisplayName, x = layer.Dequantize!.Inputs[0], weights = constants.Weights(stem, layer.Weights, transpose: false);
        string scale = constants.Scale(input), zero = constants.Zero(input), scales = constants.WeightScales(stem, layer.Weights), zeros = constants.WeightZeros(stem, layer.Weights);
        if (end is not null)
        {
            string[] inputs = [x, scale, zero, weights, scales, zeros, constants.Scale(end.Output), constants.Zero(end.Output)];
            Put(patch, layer, end, new(stem, "QLinearMatMul", [.. inputs], [WriteQOperator.Bounded(patch, constants, end)]));
            return;
        }
        string[] real = [x, weights, scale, scales, zero, zeros];
        if (layer.Bias is { } bias) real = [.. real, constants.New($"{stem}_bias", Tensor.Create(bias, bias.Length))];
        Put(patch, layer, null, new(stem, "MatMulIntegerToFloat", [.. real], [layer.Last.Outputs[0]]) { Domain = WriteQOperator.RuntimeDomain });
    }

    private static Node BiasedLayer(GraphPatch patch, CodeConstants constants, QuantizedLinearPattern layer, Epilogue? end)
    {
        var input = layer.Input!.Value;
        string stem = layer.Node.DisplayName;
        string bias = layer.BiasCodes is { Length: > 0 } codes ? constants.New($"{stem}_bias", Tensor.Create(codes, codes.Length)) : "";
        string[] output = end is null ? [] : [constants.Scale(end.Output), constants.Zero(end.Output)];
        string made = end is null ? layer.Last.Outputs[0] : WriteQOperator.Bounded(patch, constants, end);
        string[] inputs =
        [
            layer.Dequantize!.Inputs[0], constants.Scale(input), constants.Zero(input),
            constants.Weights(stem, layer.Weights, transpose: false), constants.WeightScales(stem, layer.Weights), constants.WeightZeros(stem, layer.Weights),
        ];
        if (layer.IsConvolution) return new(stem, "QLinearConv", [.. inputs, .. output, .. bias.Length > 0 ? [bias] : Array.Empty<string>()], [made]) { Attributes = layer.Node.Attributes };
        inputs = [.. inputs, .. bias.Length > 0 || end is not null ? [bias] : Array.Empty<string>(), .. output];
        return new(stem, "QGemm", [.. inputs], [made]) { Domain = WriteQOperator.RuntimeDomain, Attributes = AttributeMap.Empty.With("transB", layer.Transposed ? 1 : 0) };
    }

    private static void Put(GraphPatch patch, QuantizedLinearPattern layer, Epilogue? end, Node written)
    {
        patch.Replace(layer.Node, written);
        if (!ReferenceEquals(layer.Last, layer.Node)) patch.Remove(layer.Last);
        foreach (var absorbed in end?.Nodes ?? []) patch.Remove(absorbed);
    }
}
