using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Puts the weights of layers behind DequantizeLinear (s8, symmetric) and, in the static form, their inputs behind QuantizeLinear and
/// DequantizeLinear (u8) and their biases behind DequantizeLinear (int32 at Sa · Sw), and so the inputs of what is computed on codes
/// between layers (<see cref="CodeRegions"/>). An input is quantized where it is read, so after the bounds of the layer that makes it, and
/// after data movement, through which lowering pulls it up; what else there is, graph outputs among it, stays float.
/// </summary>
internal static class PlaceQuantizers
{
    /// <summary>Metadata property that marks a model with dynamic activations.</summary>
    public const string ActivationsProperty = "mlnet.quantization.activations";

    public const string Dynamic = "dynamic";

    /// <param name="graph">Prepared, float.</param>
    /// <param name="scales">What codes mean.</param>
    /// <param name="granularity">Of weight scales.</param>
    /// <param name="excluded">Display names of nodes that stay float.</param>
    /// <param name="report">One line a candidate, in graph order.</param>
    /// <param name="activationProducts">Quantize both factors of products of two activations too.</param>
    public static ModelGraph Apply(
        ModelGraph graph, ScaleSource scales, WeightGranularity granularity, IReadOnlyCollection<string> excluded, List<QuantizedLayer> report, bool activationProducts = false)
    {
        var layers = new List<WeightLayer>();
        var products = new Dictionary<Node, ActivationProduct>(ReferenceEqualityComparer.Instance);
        var reasons = new Dictionary<Node, string>(ReferenceEqualityComparer.Instance);
        foreach (var node in graph.Nodes.Where(WeightLayer.IsCandidate))
        {
            string reason = "excluded";
            if (activationProducts && !excluded.Contains(node.DisplayName) && ActivationProduct.Match(node, graph) is { } product)
            {
                if (product.Factors.FirstOrDefault(f => !scales.Knows(f)) is { } unknown) reasons.Add(node, $"its factor '{unknown}' was not calibrated");
                else products.Add(node, product);
                continue;
            }
            var layer = excluded.Contains(node.DisplayName) ? null : WeightLayer.Match(node, graph, out reason);
            if (layer is not null && !scales.Knows(layer.Activation)) reason = $"its input '{layer.Activation}' was not calibrated";
            else if (layer is not null) layers.Add(layer);
            reasons.Add(node, reason);
        }

        var patch = new GraphPatch(graph);
        var regions = new CodeRegions(graph, layers, products.Values);
        var embeddings = new PlaceEmbeddings(graph, patch, scales);
        var placed = new Dictionary<string, string>(StringComparer.Ordinal);
        var byNode = new Dictionary<Node, WeightLayer>(ReferenceEqualityComparer.Instance);
        foreach (var layer in layers) byNode.Add(layer.Node, layer);
        foreach (var node in graph.Nodes)
        {
            if (byNode.TryGetValue(node, out var layer)) report.Add(Quantize(graph, patch, layer, scales, scales.Activation(layer.Activation, regions), granularity, placed, embeddings));
            else if (products.ContainsKey(node)) report.Add(Product(patch, node, regions, scales, placed));
            else if (EmbeddingLayer.Match(node, graph) is { } embedding) report.Add(excluded.Contains(node.DisplayName) ? PlaceEmbeddings.Left(graph, embedding, "excluded") : embeddings.Quantize(embedding));
            else if (reasons.TryGetValue(node, out string? reason)) report.Add(Left(graph, node, reason));
            else if (!scales.IsDynamic && regions.IsCoded(node)) Code(patch, node, regions, scales, placed);
        }
        var quantized = patch.Apply();
        if (!scales.IsDynamic) return quantized;
        quantized = ActivationProduct.Mark(quantized, products.Values);
        return quantized with { Metadata = quantized.Metadata with { Properties = quantized.Metadata.Properties.SetItem(ActivationsProperty, Dynamic) } };
    }

    /// <summary>Puts quantizers before a node that then computes on codes.</summary>
    private static void Code(GraphPatch patch, Node node, CodeRegions regions, ScaleSource scales, Dictionary<string, string> placed)
    {
        var data = regions.DataOf(node).Where(v => regions.IsQuantizedFor(node, v)).ToHashSet(StringComparer.Ordinal);
        if (data.Count == 0) return;
        patch.Replace(node, node with { Inputs = [.. node.Inputs.Select(i => data.Contains(i) && scales.Activation(i, regions) is { } c ? Quantizers.Activation(patch, i, c, placed) : i)] });
    }

    /// <summary>Puts quantizers before both factors; in the dynamic form there is nothing to put.</summary>
    private static QuantizedLayer Product(GraphPatch patch, Node node, CodeRegions regions, ScaleSource scales, Dictionary<string, string> placed)
    {
        var choices = node.Inputs.Select(i => scales.Activation(i, regions)).ToArray();
        if (!scales.IsDynamic) patch.Replace(node, node with { Inputs = [.. node.Inputs.Zip(choices, (i, c) => Quantizers.Activation(patch, i, c!, placed))] });
        var (min, max) = choices[0]?.Range ?? default;
        return new(node.DisplayName, node.OpType)
        {
            IsInt8 = true,
            Reason = choices.Any(c => c is { Floored: true }) ? $"{ActivationProduct.Note}; input scale floored at 2^-60" : ActivationProduct.Note,
            InputMin = choices[0] is null ? null : min,
            InputMax = choices[0] is null ? null : max,
            InputScale = choices[0]?.Parameters.Scale,
            InputZeroPoint = choices[0]?.Parameters.ZeroPoint,
            ClippedShare = choices[0]?.ClippedShare,
        };
    }

    private static QuantizedLayer Left(ModelGraph graph, Node node, string reason)
    {
        long bytes = node.Inputs.Skip(1).Sum(i => graph.Initializers.TryGetValue(i, out var t) ? t.Bytes.Length : 0L);
        return new(node.DisplayName, node.OpType) { Reason = reason, WeightBytesBefore = bytes, WeightBytesAfter = bytes };
    }

    private static QuantizedLayer Quantize(
        ModelGraph graph, GraphPatch patch, WeightLayer layer, ScaleSource scales, ActivationChoice? choice, WeightGranularity granularity, Dictionary<string, string> placed,
        PlaceEmbeddings embeddings)
    {
        string activation = choice is null ? layer.Activation : Quantizers.Activation(patch, layer.Activation, choice, placed);
        if (layer is RecurrentLayer recurrent)
        {
            var parts = PlaceRecurrentWeights.Apply(graph, patch, recurrent, activation, scales, granularity);
            return Describe(layer, choice, parts, layer.Node.Inputs.Skip(3).Sum(i => graph.Initializers.TryGetValue(i, out var t) ? t.Bytes.Length : 0L));
        }
        var linear = (LinearLayer)layer;
        return Describe(layer, choice, [QuantizeLinear(graph, patch, linear, activation, scales, choice, granularity, embeddings)], linear.Bias is null ? 0 : 4L * linear.N);
    }

    private static WeightCodes QuantizeLinear(ModelGraph graph, GraphPatch patch, LinearLayer layer, string activation, ScaleSource scales, ActivationChoice? choice, WeightGranularity granularity, PlaceEmbeddings embeddings)
    {
        float[] bias = layer.FoldedBias(graph), real = layer.FoldedWeights(graph);
        Quantizers.CheckFinite(layer.Node, layer.WeightsName, real);
        if (layer.Bias is { } biasName) Quantizers.CheckFinite(layer.Node, biasName, bias);
        // Scales along the second axis of a ConvTranspose's weights would be those of one group.
        if (layer.IsTurned && LinearLayer.GroupsOf(layer.Node) > 1) granularity = WeightGranularity.PerTensor;
        var codes = scales.Weights(layer.Node.DisplayName, 0, real, layer.K, layer.N, layer.Transposed, granularity, bias, choice?.Parameters.Scale);
        string stem = layer.Node.DisplayName;
        int[] dims = graph.Initializers[layer.WeightsName].Dims;
        sbyte[] stored = layer.IsTurned ? layer.Turn(codes.Codes, dims, back: true) : codes.Codes;
        string weights = (layer.Transposed ? embeddings.Find(layer.WeightsName, codes) : null)
            ?? Quantizers.Dequantize(patch, $"{stem}_weights", Tensor.Create(stored, dims), codes.Scales, layer.Transposed && !layer.IsTurned ? 0 : 1);
        string[] inputs = [activation, weights];
        if (bias.Length > 0)
        {
            string name;
            if (choice is null) patch.SetInitializer(name = patch.NewName($"{stem}_bias"), Tensor.Create(bias, bias.Length));
            else name = Quantizers.Dequantize(patch, $"{stem}_bias", Tensor.Create(codes.Bias, bias.Length), Array.ConvertAll(codes.Scales, s => choice.Parameters.Scale * s), 0);
            inputs = [activation, weights, name];
        }
        patch.Replace(layer.Node, layer.Node with { Inputs = [.. inputs], Attributes = layer.Node.Attributes.Without("alpha").Without("beta") });
        return codes;
    }

    /// <param name="layer">The layer.</param>
    /// <param name="choice">Of its input; null for dynamic activations.</param>
    /// <param name="parts">Its weights.</param>
    /// <param name="biasBytes">Of what is neither weights nor scales, which keeps its size.</param>
    private static QuantizedLayer Describe(WeightLayer layer, ActivationChoice? choice, WeightCodes[] parts, long biasBytes)
    {
        var notes = new List<string>();
        int floored = parts.Sum(p => p.FlooredScales), enlarged = parts.Sum(p => p.EnlargedChannels);
        if (floored > 0) notes.Add(FormattableString.Invariant($"{floored} weight scales floored at 2^-60"));
        if (enlarged > 0) notes.Add(FormattableString.Invariant($"{enlarged} weight scales enlarged so that sums fit int32"));
        if (choice is { Floored: true }) notes.Add("input scale floored at 2^-60");
        var p = choice?.Parameters;
        return new(layer.Node.DisplayName, layer.Node.OpType)
        {
            IsInt8 = true,
            Reason = string.Join("; ", notes),
            WeightBytesBefore = parts.Sum(c => 4L * c.Codes.Length) + biasBytes,
            WeightBytesAfter = parts.Sum(c => c.Codes.Length + 4L * c.Scales.Length) + biasBytes,
            InputMin = choice?.Range.Min,
            InputMax = choice?.Range.Max,
            InputScale = p?.Scale,
            InputZeroPoint = p?.ZeroPoint,
            ClippedShare = choice?.ClippedShare,
            WeightSignalToNoise = parts.Min(c => c.SignalToNoise),
        };
    }
}
