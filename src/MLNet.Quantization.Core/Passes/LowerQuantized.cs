using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Ops.Quantized;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Turns what stands between DequantizeLinear and QuantizeLinear into the engine's INT8 operators, whatever tool placed them: linear
/// layers with bias and bounds, products of two activations, embeddings, data movement on codes, element-wise functions as tables. Where a pattern does not match, the float
/// operator stays between its quantizers, with its weights dequantized once.
/// </summary>
internal static class LowerQuantized
{
    public static ModelGraph Apply(ModelGraph graph)
    {
        // Layers come last: they take over the quantizers that are left.
        graph = RemoveDeadNodes.Apply(LowerCodes.Apply(LowerEmbeddings.Apply(Normalize(graph))));
        graph = RemoveDeadNodes.Apply(TabulateCodes.Apply(graph));
        graph = RemoveDeadNodes.Apply(LowerLayers(LowerRecurrent.Apply(graph, IsDynamic(graph))));
        graph = FuseAttention.Apply(CancelTransposes.Apply(RemoveDeadNodes.Apply(PutChannelsLast.Apply(graph))));
        return FoldConstants.Apply(graph, keepDequantize: false);
    }

    /// <summary>The form that patterns are looked for in: constants folded up to their DequantizeLinear, quantizers moved next to the layers.</summary>
    public static ModelGraph Normalize(ModelGraph graph) =>
        FoldConstants.Apply(MoveCodes.Apply(RemoveDeadNodes.Apply(RemoveIdentity.Apply(FoldConstants.Apply(graph)))));

    /// <summary>True where float inputs of layers with quantized weights are to be quantized row by row.</summary>
    public static bool IsDynamic(ModelGraph graph) =>
        graph.Metadata.Properties.GetValueOrDefault(PlaceQuantizers.ActivationsProperty) == PlaceQuantizers.Dynamic;

    private static ModelGraph LowerLayers(ModelGraph graph)
    {
        bool isDynamic = IsDynamic(graph);
        var patch = new GraphPatch(graph);
        var index = new GraphIndex(graph);
        var absorbed = new HashSet<Node>(ReferenceEqualityComparer.Instance);
        var marked = ActivationProduct.Marked(graph);
        foreach (var node in graph.Nodes.Where(LinearLayer.IsCandidate))
        {
            if (QuantizedProductPattern.Match(index, node) is { } product)
            {
                patch.Replace(node, Product(index, node, product, absorbed));
                continue;
            }
            if (marked.Contains(node.Outputs[0]) && ActivationProduct.Match(node, graph) is not null)
            {
                patch.Replace(node, node with { OpType = nameof(QuantizedMatMul), Domain = OperatorSet.EngineDomain, Attributes = AttributeMap.Empty.With(PairForm.KindAttribute, (long)PairKind.Dynamic) });
                continue;
            }
            if (QuantizedLinearPattern.Match(index, node, isDynamic, out _) is not { } layer) continue;
            if (!ReferenceEquals(layer.Last, node)) patch.Remove(layer.Last);
            var lowered = layer.Input is null ? Dynamic(index, patch, layer) : Static(index, patch, layer, absorbed);
            if (layer.IsConvolution) PutChannelsLast.Surround(patch, lowered, layer.Weights.Codes.Rank, lowered.Attributes.Contains("channels_first"));
            else patch.Add(lowered);
            patch.Remove(node);
        }
        return patch.Apply();
    }

    private static Node Dynamic(GraphIndex index, GraphPatch patch, QuantizedLinearPattern layer) =>
        Engine(index, patch, layer, DynamicTypeOf(layer), layer.Node.Inputs[0], RealBias(layer), layer.Last.Outputs[0], layer.IsConvolution ? AttributeMap.Empty.With("channels_first", 1) : AttributeMap.Empty);

    private static string DynamicTypeOf(QuantizedLinearPattern layer) =>
        layer.IsTransposedConvolution ? nameof(DynamicQuantizedConvTranspose) : layer.IsConvolution ? nameof(DynamicQuantizedConv) : nameof(DynamicQuantizedLinear);

    private static string StaticTypeOf(QuantizedLinearPattern layer) =>
        layer.IsTransposedConvolution ? nameof(QuantizedConvTranspose) : layer.IsConvolution ? nameof(QuantizedConv) : nameof(QuantizedLinear);

    private static Node Static(GraphIndex index, GraphPatch patch, QuantizedLinearPattern layer, HashSet<Node> absorbed)
    {
        var input = layer.Input!.Value;
        var attributes = AttributeMap.Empty.With("input_scale", input.Affine.Scale).With("input_zero_point", input.Affine.ZeroPoint);
        string type = StaticTypeOf(layer);
        // A transposed convolution reads its input once a phase, so codes are made before.
        string? fused = layer.IsTransposedConvolution ? null : FusedInput(index, absorbed, layer.Dequantize!, input);
        if (fused is not null && layer.IsConvolution) attributes = attributes.With("channels_first", 1);
        string source = fused ?? layer.Dequantize!.Inputs[0];
        if (layer.BiasCodes is null || Epilogue.Match(index, layer.Last) is not { } end)
            return Engine(index, patch, layer, type, source, RealBias(layer), layer.Last.Outputs[0], attributes);

        attributes = end.AddTo(attributes);
        foreach (var node in end.Nodes)
        {
            patch.Remove(node);
            absorbed.Add(node);
        }
        var bias = layer.BiasCodes.Length == 0 ? null : Tensor.Create(layer.BiasCodes, layer.BiasCodes.Length);
        return Engine(index, patch, layer, type, source, bias, end.Nodes[^1].Outputs[0], attributes);
    }

    private static Node Product(GraphIndex index, Node node, QuantizedProductPattern product, HashSet<Node> absorbed)
    {
        // The float value where the product quantizes it itself.
        string a = FusedInput(index, absorbed, product.Left, product.A) ?? product.Left.Inputs[0], b = FusedInput(index, absorbed, product.Right, product.B) ?? product.Right.Inputs[0];
        return new(node.Name, nameof(QuantizedMatMul), [a, b], node.Outputs) { Domain = OperatorSet.EngineDomain, Attributes = PairForm.Static(AttributeMap.Empty, product.A.Affine, product.B.Affine) };
    }

    private static Tensor? RealBias(QuantizedLinearPattern layer) => layer.Bias is { } bias ? Tensor.Create(bias, bias.Length) : null;

    /// <summary>The float value behind QuantizeLinear, where the layer is its only reader, so that the layer quantizes it itself.</summary>
    private static string? FusedInput(GraphIndex index, HashSet<Node> absorbed, Node dequantize, CodeParameters input)
    {
        string codes = dequantize.Inputs[0];
        if (input.Type != ElementType.UInt8 || index.ProducerOf(codes, "QuantizeLinear") is not { } quantize || absorbed.Contains(quantize)) return null;
        if (index.OnlyConsumerOf(codes) is null || index.OnlyConsumerOf(dequantize.Outputs[0]) is null) return null;
        return QuantizedValue.PerTensor(index, quantize) == input ? quantize.Inputs[0] : null;
    }

    private static Node Engine(
        GraphIndex index, GraphPatch patch, QuantizedLinearPattern layer, string type, string input, Tensor? bias, string output, AttributeMap attributes)
    {
        if (!layer.IsConvolution) attributes = attributes.With("transB", layer.Transposed ? 1 : 0);
        else
            foreach (var (name, value) in layer.Node.Attributes) attributes = attributes.With(name, value);
        // Rows come in sparse form from the caller only, so that other layers need not hold their weights a second time.
        if (index.IsInput(input) && !layer.IsConvolution) attributes = attributes.With("sparse_input", 1);
        string stem = layer.Node.DisplayName, scales = patch.NewName($"{stem}_scales"), weights = layer.Weights.Name ?? patch.NewName($"{stem}_codes");
        patch.SetInitializer(scales, Tensor.Create(layer.Weights.Scales, layer.Weights.Scales.Length)).SetInitializer(weights, layer.Weights.Codes);
        var inputs = new List<string> { input, weights, scales };
        if (bias is not null)
        {
            inputs.Add(patch.NewName($"{stem}_bias"));
            patch.SetInitializer(inputs[^1], bias);
        }
        return new(layer.Node.Name, type, [.. inputs], [output]) { Domain = OperatorSet.EngineDomain, Attributes = attributes };
    }
}
