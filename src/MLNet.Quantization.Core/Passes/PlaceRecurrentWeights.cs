using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Puts W and R of a recurrent layer behind DequantizeLinear, each as a matrix with a scale for every row (a unit of a gate of a
/// direction), which Reshape then makes the tensor that the standard's operator reads: one axis cannot hold the scales of two directions.
/// </summary>
internal static class PlaceRecurrentWeights
{
    /// <param name="graph">Float.</param>
    /// <param name="patch">What is changed.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="activation">The value that it is to read.</param>
    /// <param name="scales">What codes mean.</param>
    /// <param name="granularity">Of weight scales.</param>
    /// <returns>The codes of W and R.</returns>
    public static WeightCodes[] Apply(ModelGraph graph, GraphPatch patch, RecurrentLayer layer, string activation, ScaleSource scales, WeightGranularity granularity)
    {
        var inputs = layer.Node.Inputs.ToArray();
        inputs[0] = activation;
        var all = new WeightCodes[2];
        for (int i = 0; i < all.Length; i++)
        {
            string name = layer.Weights[i], stem = $"{layer.Node.DisplayName}_{"WR"[i]}";
            var weights = graph.Initializers[name];
            float[] real = weights.Span<float>().ToArray();
            Quantizers.CheckFinite(layer.Node, name, real);
            int k = weights.Dims[2], rows = weights.Count / k;
            all[i] = scales.Weights(layer.Node.DisplayName, i, real, k, rows, true, granularity, [], null);
            string matrix = Quantizers.Dequantize(patch, stem, Tensor.Create(all[i].Codes, rows, k), all[i].Scales, 0), shape = patch.NewName($"{stem}_shape");
            inputs[i + 1] = patch.NewName($"{stem}_dequantized");
            patch.SetInitializer(shape, Tensor.Create(Array.ConvertAll(weights.Dims, d => (long)d), 3));
            patch.Add(Node.Create(patch.NewName($"{stem}_Reshape"), "Reshape", [matrix, shape], [inputs[i + 1]]));
        }
        patch.Replace(layer.Node, layer.Node with { Inputs = [.. inputs] });
        return all;
    }
}
