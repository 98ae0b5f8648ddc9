using MLNet.Quantization.Graph;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Passes;

/// <summary>The range of one activation, and the share of calibration values that it cuts off.</summary>
internal sealed record ActivationRange(float Min, float Max, double? ClippedShare);

/// <summary>Scale and zero point of the codes of one activation.</summary>
internal sealed record ActivationChoice(AffineParameters Parameters, double? ClippedShare, bool Floored);

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
    /// <param name="activations">By value name; null for dynamic activations.</param>
    /// <param name="granularity">Of weight scales.</param>
    /// <param name="scheme">Of activations.</param>
    /// <param name="excluded">Display names of nodes that stay float.</param>
    /// <param name="report">One line a candidate, in graph order.</param>
    public static ModelGraph Apply(
        ModelGraph graph, IReadOnlyDictionary<string, ActivationRange>? activations, WeightGranularity granularity, QuantizationScheme scheme,
        IReadOnlyCollection<string> excluded, List<QuantizedLayer> report)
    {
        var layers = new List<WeightLayer>();
        var reasons = new Dictionary<Node, string>(ReferenceEqualityComparer.Instance);
        foreach (var node in graph.Nodes.Where(WeightLayer.IsCandidate))
        {
            string reason = "excluded";
            var layer = excluded.Contains(node.DisplayName) ? null : WeightLayer.Match(node, graph, out reason);
            if (layer is not null && activations?.ContainsKey(layer.Activation) == false) reason = $"its input '{layer.Activation}' was not calibrated";
            else if (layer is not null) layers.Add(layer);
            reasons.Add(node, reason);
        }

        var patch = new GraphPatch(graph);
        var regions = new CodeRegions(graph, layers);
        var embeddings = new PlaceEmbeddings(graph, patch);
        var placed = new Dictionary<string, string>(StringComparer.Ordinal);
        var byNode = new Dictionary<Node, WeightLayer>(ReferenceEqualityComparer.Instance);
        foreach (var layer in layers) byNode.Add(layer.Node, layer);
        foreach (var node in graph.Nodes)
        {
            if (byNode.TryGetValue(node, out var layer)) report.Add(Quantize(graph, patch, layer, Choose(activations, regions, layer.Activation, scheme), granularity, placed, embeddings));
            else if (EmbeddingLayer.Match(node, graph) is { } embedding) report.Add(excluded.Contains(node.DisplayName) ? PlaceEmbeddings.Left(graph, embedding, "excluded") : embeddings.Quantize(embedding));
            else if (reasons.TryGetValue(node, out string? reason)) report.Add(Left(graph, node, reason));
            else if (activations is not null && regions.IsCoded(node)) Code(patch, node, regions, v => Choose(activations, regions, v, scheme), placed);
        }
        var quantized = patch.Apply();
        if (activations is not null) return quantized;
        return quantized with { Metadata = quantized.Metadata with { Properties = quantized.Metadata.Properties.SetItem(ActivationsProperty, Dynamic) } };
    }

    /// <summary>One scale for all values that codes only move between: of the range that holds theirs. Null for dynamic activations.</summary>
    private static ActivationChoice? Choose(IReadOnlyDictionary<string, ActivationRange>? activations, CodeRegions regions, string value, QuantizationScheme scheme)
    {
        if (activations?.GetValueOrDefault(value) is not { } own) return null;
        var ranges = regions.GroupOf(value).Select(v => activations.GetValueOrDefault(v) ?? own).ToList();
        var parameters = AffineRange.FromRange(ranges.Min(r => r.Min), ranges.Max(r => r.Max), CodeGrid.UInt8, scheme, out var adjustment);
        return new(parameters, own.ClippedShare, adjustment == RangeAdjustment.Floored);
    }

    /// <summary>Puts quantizers before a node that then computes on codes.</summary>
    private static void Code(GraphPatch patch, Node node, CodeRegions regions, Func<string, ActivationChoice?> choose, Dictionary<string, string> placed)
    {
        var data = regions.DataOf(node).Where(v => regions.IsQuantizedFor(node, v)).ToHashSet(StringComparer.Ordinal);
        if (data.Count == 0) return;
        patch.Replace(node, node with { Inputs = [.. node.Inputs.Select(i => data.Contains(i) && choose(i) is { } c ? Quantizers.Activation(patch, i, c.Parameters, placed) : i)] });
    }

    private static QuantizedLayer Left(ModelGraph graph, Node node, string reason)
    {
        long bytes = node.Inputs.Skip(1).Sum(i => graph.Initializers.TryGetValue(i, out var t) ? t.Bytes.Length : 0L);
        return new(node.DisplayName, node.OpType) { Reason = reason, WeightBytesBefore = bytes, WeightBytesAfter = bytes };
    }

    private static QuantizedLayer Quantize(
        ModelGraph graph, GraphPatch patch, WeightLayer layer, ActivationChoice? choice, WeightGranularity granularity, Dictionary<string, string> placed,
        PlaceEmbeddings embeddings)
    {
        string activation = choice is null ? layer.Activation : Quantizers.Activation(patch, layer.Activation, choice.Parameters, placed);
        if (layer is RecurrentLayer recurrent)
        {
            var parts = PlaceRecurrentWeights.Apply(graph, patch, recurrent, activation, granularity);
            return Describe(layer, choice, parts, layer.Node.Inputs.Skip(3).Sum(i => graph.Initializers.TryGetValue(i, out var t) ? t.Bytes.Length : 0L));
        }
        var linear = (LinearLayer)layer;
        return Describe(layer, choice, [QuantizeLinear(graph, patch, linear, activation, choice, granularity, embeddings)], linear.Bias is null ? 0 : 4L * linear.N);
    }

    private static WeightCodes QuantizeLinear(ModelGraph graph, GraphPatch patch, LinearLayer layer, string activation, ActivationChoice? choice, WeightGranularity granularity, PlaceEmbeddings embeddings)
    {
        float[] bias = layer.FoldedBias(graph), real = layer.FoldedWeights(graph);
        Quantizers.CheckFinite(layer.Node, layer.WeightsName, real);
        if (layer.Bias is { } biasName) Quantizers.CheckFinite(layer.Node, biasName, bias);
        // Scales along the second axis of a ConvTranspose's weights would be those of one group.
        if (layer.IsTurned && LinearLayer.GroupsOf(layer.Node) > 1) granularity = WeightGranularity.PerTensor;
        var codes = WeightCodes.Quantize(real, layer.K, layer.N, layer.Transposed, granularity, bias, choice?.Parameters.Scale);
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
            InputMin = p is { } a ? a.Scale * (0 - a.ZeroPoint) : null,
            InputMax = p is { } b ? b.Scale * (255 - b.ZeroPoint) : null,
            InputScale = p?.Scale,
            InputZeroPoint = p?.ZeroPoint,
            ClippedShare = choice?.ClippedShare,
            WeightSignalToNoise = parts.Min(c => c.SignalToNoise),
        };
    }
}
