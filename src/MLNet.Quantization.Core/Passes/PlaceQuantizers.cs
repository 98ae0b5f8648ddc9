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
        var layers = new List<LinearLayer>();
        var reasons = new Dictionary<Node, string>(ReferenceEqualityComparer.Instance);
        foreach (var node in graph.Nodes.Where(LinearLayer.IsCandidate))
        {
            string reason = "excluded";
            var layer = excluded.Contains(node.DisplayName) ? null : LinearLayer.Match(node, graph, out reason);
            if (layer is not null && activations?.ContainsKey(layer.Activation) == false) reason = $"its input '{layer.Activation}' was not calibrated";
            else if (layer is not null) layers.Add(layer);
            reasons.Add(node, reason);
        }

        var patch = new GraphPatch(graph);
        var regions = new CodeRegions(graph, layers);
        var placed = new Dictionary<string, string>(StringComparer.Ordinal);
        var byNode = new Dictionary<Node, LinearLayer>(ReferenceEqualityComparer.Instance);
        foreach (var layer in layers) byNode.Add(layer.Node, layer);
        foreach (var node in graph.Nodes)
        {
            if (byNode.TryGetValue(node, out var layer)) report.Add(Quantize(graph, patch, layer, Choose(activations, regions, layer.Activation, scheme), granularity, placed));
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
        patch.Replace(node, node with { Inputs = [.. node.Inputs.Select(i => data.Contains(i) && choose(i) is { } c ? Activation(patch, i, c.Parameters, placed) : i)] });
    }

    private static QuantizedLayer Left(ModelGraph graph, Node node, string reason)
    {
        long bytes = node.Inputs.Skip(1).Sum(i => graph.Initializers.TryGetValue(i, out var t) ? t.Bytes.Length : 0L);
        return new(node.DisplayName, node.OpType) { Reason = reason, WeightBytesBefore = bytes, WeightBytesAfter = bytes };
    }

    private static QuantizedLayer Quantize(
        ModelGraph graph, GraphPatch patch, LinearLayer layer, ActivationChoice? choice, WeightGranularity granularity, Dictionary<string, string> placed)
    {
        float[] bias = layer.FoldedBias(graph), real = layer.FoldedWeights(graph);
        CheckFinite(layer.Node, layer.WeightsName, real);
        if (layer.Bias is { } biasName) CheckFinite(layer.Node, biasName, bias);
        var codes = WeightCodes.Quantize(real, layer.K, layer.N, layer.Transposed, granularity, bias, choice?.Parameters.Scale);
        string stem = layer.Node.DisplayName;
        int[] dims = graph.Initializers[layer.WeightsName].Dims;
        string weights = Dequantize(patch, $"{stem}_weights", Tensor.Create(codes.Codes, dims), codes.Scales, layer.Transposed ? 0 : 1);
        string activation = choice is null ? layer.Activation : Activation(patch, layer.Activation, choice.Parameters, placed);
        string[] inputs = [activation, weights];
        if (bias.Length > 0)
        {
            string name;
            if (choice is null) patch.SetInitializer(name = patch.NewName($"{stem}_bias"), Tensor.Create(bias, bias.Length));
            else name = Dequantize(patch, $"{stem}_bias", Tensor.Create(codes.Bias, bias.Length), Array.ConvertAll(codes.Scales, s => choice.Parameters.Scale * s), 0);
            inputs = [activation, weights, name];
        }
        patch.Replace(layer.Node, layer.Node with { Inputs = [.. inputs], Attributes = layer.Node.Attributes.Without("alpha").Without("beta") });
        return Describe(layer, choice, codes);
    }

    private static void CheckFinite(Node node, string tensor, float[] values)
    {
        int at = Array.FindIndex(values, v => !float.IsFinite(v));
        if (at < 0) return;
        throw new ModelFormatException(
            FormattableString.Invariant($"Node '{node.DisplayName}' ({node.OpType}): element {at} of constant '{tensor}' is {values[at]}, expected finite numbers."), node.DisplayName, tensor);
    }

    private static QuantizedLayer Describe(LinearLayer layer, ActivationChoice? choice, WeightCodes codes)
    {
        var notes = new List<string>();
        if (codes.FlooredScales > 0) notes.Add(FormattableString.Invariant($"{codes.FlooredScales} weight scales floored at 2^-60"));
        if (codes.EnlargedChannels > 0) notes.Add(FormattableString.Invariant($"{codes.EnlargedChannels} weight scales enlarged so that sums fit int32"));
        if (choice is { Floored: true }) notes.Add("input scale floored at 2^-60");
        long biasBytes = layer.Bias is null ? 0 : 4L * layer.N;
        var p = choice?.Parameters;
        return new(layer.Node.DisplayName, layer.Node.OpType)
        {
            IsInt8 = true,
            Reason = string.Join("; ", notes),
            WeightBytesBefore = 4L * layer.K * layer.N + biasBytes,
            WeightBytesAfter = codes.Codes.Length + 4L * codes.Scales.Length + biasBytes,
            InputMin = p is { } a ? a.Scale * (0 - a.ZeroPoint) : null,
            InputMax = p is { } b ? b.Scale * (255 - b.ZeroPoint) : null,
            InputScale = p?.Scale,
            InputZeroPoint = p?.ZeroPoint,
            ClippedShare = choice?.ClippedShare,
            WeightSignalToNoise = codes.SignalToNoise,
        };
    }

    /// <summary>The dequantized form of <paramref name="name"/>, made once for all its readers.</summary>
    private static string Activation(GraphPatch patch, string name, AffineParameters p, Dictionary<string, string> placed)
    {
        if (placed.TryGetValue(name, out string? made)) return made;
        string scale = patch.NewName($"{name}_scale"), zero = patch.NewName($"{name}_zero_point");
        string codes = patch.NewName($"{name}_quantized"), real = patch.NewName($"{name}_dequantized");
        patch.SetInitializer(scale, Tensor.Scalar(p.Scale)).SetInitializer(zero, Tensor.Scalar((byte)p.ZeroPoint));
        patch.Add(Node.Create(patch.NewName($"{name}_QuantizeLinear"), "QuantizeLinear", [name, scale, zero], [codes]));
        patch.Add(Node.Create(patch.NewName($"{name}_DequantizeLinear"), "DequantizeLinear", [codes, scale, zero], [real]));
        return placed[name] = real;
    }

    private static string Dequantize(GraphPatch patch, string stem, Tensor codes, float[] scales, int axis)
    {
        string quantized = patch.NewName($"{stem}_quantized"), scale = patch.NewName($"{stem}_scale"), real = patch.NewName($"{stem}_dequantized");
        patch.SetInitializer(quantized, codes).SetInitializer(scale, scales.Length == 1 ? Tensor.Scalar(scales[0]) : Tensor.Create(scales, scales.Length));
        var inputs = new List<string> { quantized, scale };
        if (codes.Type == ElementType.Int8)
        {
            string zero = patch.NewName($"{stem}_zero_point");
            patch.SetInitializer(zero, scales.Length == 1 ? Tensor.Scalar((sbyte)0) : Tensor.Create(new sbyte[scales.Length], scales.Length));
            inputs.Add(zero);
        }
        var node = Node.Create(patch.NewName($"{stem}_DequantizeLinear"), "DequantizeLinear", [.. inputs], [real]);
        patch.Add(scales.Length == 1 ? node : node with { Attributes = AttributeMap.Empty.With("axis", axis) });
        return real;
    }
}
