using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Puts the tables of embeddings behind DequantizeLinear, s8 and symmetric, with a scale for each row whatever the granularity of other
/// weights: rows of rare tokens are small. A table that several nodes read is made once.
/// </summary>
internal sealed class PlaceEmbeddings(ModelGraph graph, GraphPatch patch, ScaleSource scales)
{
    private readonly Dictionary<string, (WeightCodes Codes, string Real, string Owner)> _tables = new(StringComparer.Ordinal);

    /// <summary>Quantizes the table and says so.</summary>
    public QuantizedLayer Quantize(EmbeddingLayer layer)
    {
        var node = layer.Node;
        bool isNew = !_tables.TryGetValue(layer.TableName, out var table);
        if (isNew) _tables[layer.TableName] = table = Make(layer);
        patch.Replace(node, node with { Inputs = node.Inputs.SetItem(0, table.Real) });
        string floored = table.Codes.FlooredScales > 0 ? FormattableString.Invariant($"{table.Codes.FlooredScales} weight scales floored at 2^-60") : "";
        return new(node.DisplayName, node.OpType)
        {
            IsInt8 = true,
            Reason = isNew ? floored : $"its table is that of '{table.Owner}'",
            WeightBytesBefore = isNew ? 4L * table.Codes.Codes.Length : 0,
            WeightBytesAfter = isNew ? table.Codes.Codes.Length + 4L * table.Codes.Scales.Length : 0,
            WeightSignalToNoise = table.Codes.SignalToNoise,
        };
    }

    /// <summary>An embedding that stays float.</summary>
    public static QuantizedLayer Left(ModelGraph graph, EmbeddingLayer layer, string reason)
    {
        long bytes = graph.Initializers[layer.TableName].Bytes.Length;
        return new(layer.Node.DisplayName, layer.Node.OpType) { Reason = reason, WeightBytesBefore = bytes, WeightBytesAfter = bytes };
    }

    /// <summary>The dequantized form of a table that stands in the graph already as the very codes, so that a tied projection need not hold them again; else null.</summary>
    public string? Find(string name, WeightCodes codes) =>
        _tables.TryGetValue(name, out var table) && table.Codes.Codes.AsSpan().SequenceEqual(codes.Codes) && table.Codes.Scales.AsSpan().SequenceEqual(codes.Scales) ? table.Real : null;

    private (WeightCodes Codes, string Real, string Owner) Make(EmbeddingLayer layer)
    {
        var table = graph.Initializers[layer.TableName];
        float[] real = table.Span<float>().ToArray();
        Quantizers.CheckFinite(layer.Node, layer.TableName, real);
        var codes = scales.Weights(layer.Node.DisplayName, 0, real, table.Dims[1], table.Dims[0], true, WeightGranularity.PerChannel, [], null);
        return (codes, Quantizers.Dequantize(patch, $"{layer.Node.DisplayName}_table", Tensor.Create(codes.Codes, table.Dims), codes.Scales, 0), layer.Node.DisplayName);
    }
}
