using MLNet.Quantization.Passes;

namespace MLNet.Quantization.Pipeline;

/// <summary>From a prepared float model to a quantized one: which passes, in which order.</summary>
internal static class QuantizationRecipe
{
    /// <summary>Activations by calibrated ranges.</summary>
    /// <exception cref="CalibrationException">The table belongs to another model.</exception>
    public static QuantizedModel QuantizeStatic(PreparedModel model, CalibrationTable table, WeightOptions? options = null)
    {
        if (table.ModelHash != model.Hash)
            throw new CalibrationException($"The calibration was made for another model (its hash {table.ModelHash[..12]}..., this model's {model.Hash[..12]}...).");
        var ranges = new Dictionary<string, ActivationRange>(StringComparer.Ordinal);
        foreach (var (name, observer) in table.Statistics)
        {
            var (min, max) = observer.Range();
            ranges[name] = new(min, max, observer.ClippedShare());
        }
        return Quantize(model, ranges, table.Scheme, options ?? WeightOptions.Default);
    }

    /// <summary>Activations by each row's own range while scoring.</summary>
    public static QuantizedModel QuantizeDynamic(PreparedModel model, WeightOptions? options = null) => Quantize(model, null, default, options ?? WeightOptions.Default);

    /// <exception cref="ArgumentException">An excluded node is not in the model.</exception>
    private static QuantizedModel Quantize(PreparedModel model, Dictionary<string, ActivationRange>? ranges, QuantizationScheme scheme, WeightOptions options)
    {
        foreach (string name in options.ExcludedNodes)
            if (!model.Graph.Nodes.Any(n => n.DisplayName == name))
                throw new ArgumentException(
                    $"ExcludedNodes names '{name}', which the prepared model does not have (a bias is added by the layer before it). Layers that can stay float: " +
                    string.Join(", ", model.Graph.Nodes.Where(n => WeightLayer.IsCandidate(n) || EmbeddingLayer.Match(n, model.Graph) is not null).Select(n => $"'{n.DisplayName}'")) + ".", nameof(options));
        var layers = new List<QuantizedLayer>();
        return new(PlaceQuantizers.Apply(model.Graph, new RangeScales(ranges, scheme, options.WeightBits, options.ActivationBits), options.Granularity, options.ExcludedNodes, layers, options.ActivationProducts), new(layers));
    }
}
