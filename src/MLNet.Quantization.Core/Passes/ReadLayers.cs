using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>What a quantized graph tells of its layers when it is read from a file.</summary>
internal static class ReadLayers
{
    public static List<QuantizedLayer> Of(ModelGraph graph)
    {
        bool isDynamic = graph.Metadata.Properties.GetValueOrDefault(PlaceQuantizers.ActivationsProperty) == PlaceQuantizers.Dynamic;
        var producers = graph.Producers();
        var layers = new List<QuantizedLayer>();
        foreach (var node in graph.Nodes.Where(LinearLayer.IsCandidate))
        {
            var source = producers.GetValueOrDefault(node.Inputs[0]);
            var activation = source is { OpType: "DequantizeLinear" } ? QuantizedValue.PerTensor(graph, source) : null;
            var parts = node.Inputs.Skip(1).Where(i => i.Length > 0).Select(i => Size(graph, producers, i)).ToList();
            bool quantized = producers.GetValueOrDefault(node.Inputs[1]) is { OpType: "DequantizeLinear" } && (activation is not null || isDynamic);
            var p = activation?.Parameters;
            int least = activation is { Type: ElementType.Int8 } ? -128 : 0;
            layers.Add(new(node.DisplayName, node.OpType)
            {
                IsInt8 = quantized,
                Reason = quantized ? "" : "not quantized in the file",
                WeightBytesBefore = parts.Sum(s => s.Before),
                WeightBytesAfter = parts.Sum(s => s.After),
                InputMin = p is { } a ? a.Scale * (least - a.ZeroPoint) : null,
                InputMax = p is { } b ? b.Scale * (least + 255 - b.ZeroPoint) : null,
                InputScale = p?.Scale,
                InputZeroPoint = p?.ZeroPoint,
            });
        }
        return layers;
    }

    private static (long Before, long After) Size(ModelGraph graph, Dictionary<string, Node> producers, string name)
    {
        if (graph.Initializers.TryGetValue(name, out var real)) return (real.Bytes.Length, real.Bytes.Length);
        if (producers.GetValueOrDefault(name) is not { OpType: "DequantizeLinear" } node || !graph.Initializers.TryGetValue(node.Inputs[0], out var codes)) return (0, 0);
        long scales = codes.Type == ElementType.Int8 && graph.Initializers.TryGetValue(node.Inputs[1], out var s) ? s.Bytes.Length : 0;
        return (4L * codes.Count, codes.Bytes.Length + scales);
    }
}
