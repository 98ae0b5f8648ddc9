using MLNet.Quantization.Graph;
using MLNet.Quantization.Numerics;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Turns what stands between DequantizeLinear and QuantizeLinear into the engine's INT8 operators, whatever tool placed them: linear
/// layers with their activation function, and data movement, which passes codes through. Where a pattern does not match, the float
/// operator stays between its quantizers, with its weights dequantized once.
/// </summary>
internal static class LowerQuantized
{
    private static readonly string[] Movements = ["Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze"];

    public static ModelGraph Apply(ModelGraph graph)
    {
        graph = RemoveDeadNodes.Apply(MoveCodes(graph));
        graph = RemoveDeadNodes.Apply(LowerLayers(graph));
        return FoldConstants.Apply(graph, keepDequantize: false);
    }

    /// <summary>DequantizeLinear, movement, QuantizeLinear with the same parameters: the movement on codes.</summary>
    private static ModelGraph MoveCodes(ModelGraph graph)
    {
        var patch = new GraphPatch(graph);
        var producers = graph.Producers();
        var consumers = graph.Consumers();
        foreach (var node in graph.Nodes)
        {
            if (node.Domain.Length > 0 || !Movements.Contains(node.OpType) || graph.IsOutput(node.Outputs[0])) continue;
            var before = producers.GetValueOrDefault(node.Inputs[0]);
            if (before is not { OpType: "DequantizeLinear" } || consumers[node.Outputs[0]].ToList() is not [{ OpType: "QuantizeLinear" } after]) continue;
            if (QuantizedValue.PerTensor(graph, before) is not { } from || QuantizedValue.PerTensor(graph, after) != from) continue;
            patch.Remove(after).Replace(node, node with { Inputs = node.Inputs.SetItem(0, before.Inputs[0]), Outputs = after.Outputs });
        }
        return patch.Apply();
    }

    private static ModelGraph LowerLayers(ModelGraph graph)
    {
        bool isDynamic = graph.Metadata.Properties.GetValueOrDefault(PlaceQuantizers.ActivationsProperty) == PlaceQuantizers.Dynamic;
        var patch = new GraphPatch(graph);
        var producers = graph.Producers();
        var consumers = graph.Consumers();
        var claimed = new HashSet<Node>(ReferenceEqualityComparer.Instance);
        foreach (var node in graph.Nodes)
        {
            if (!LinearLayer.IsCandidate(node) || !HasPlainForm(node)) continue;
            bool transposed = node.Attributes.Get("transB", 0L) != 0;
            var weightSource = producers.GetValueOrDefault(node.Inputs[1]);
            if (QuantizedValue.SymmetricConstant(graph, weightSource, ElementType.Int8, transposed ? 0 : 1) is not { Codes.Rank: 2 } weights) continue;
            int n = weights.Codes.Dims[transposed ? 0 : 1];
            if (BiasOf(graph, producers, node, n) is not { } bias) continue;

            var source = producers.GetValueOrDefault(node.Inputs[0]);
            var activation = source is { OpType: "DequantizeLinear" } ? QuantizedValue.PerTensor(graph, source) : null;
            var attributes = AttributeMap.Empty.With("transB", transposed ? 1 : 0);
            if (activation is null)
            {
                if (isDynamic && source is not { OpType: "DequantizeLinear" } && !graph.Initializers.ContainsKey(node.Inputs[0]))
                    patch.Replace(node, Engine(graph, patch, node, "DynamicQuantizedLinear", node.Inputs[0], weightSource!, weights.Scales, bias.Real, node.Outputs[0], attributes));
                continue;
            }
            var (a, type) = activation.Value;
            attributes = attributes.With("input_scale", a.Scale).With("input_zero_point", a.ZeroPoint);
            string input = FusedInput(graph, producers, consumers, claimed, source!, type) ?? source!.Inputs[0];
            var end = bias.Codes is null ? null : Epilogue.Match(graph, consumers, node);
            if (end is null)
            {
                patch.Replace(node, Engine(graph, patch, node, "QuantizedLinear", input, weightSource!, weights.Scales, bias.Real, node.Outputs[0], attributes));
                continue;
            }
            if (!BiasFits(bias, a, weights.Scales, n)) continue;
            attributes = attributes.With("output_scale", end.Output.Scale).With("output_zero_point", end.Output.ZeroPoint)
                .With("output_signed", end.Signed ? 1 : 0).With("clamp_min", end.ClampMin).With("clamp_max", end.ClampMax);
            foreach (var absorbed in end.Nodes)
            {
                patch.Remove(absorbed);
                claimed.Add(absorbed);
            }
            var codes = bias.Codes!.Length == 0 ? null : Tensor.Create(bias.Codes, n);
            patch.Replace(node, Engine(graph, patch, node, "QuantizedLinear", input, weightSource!, weights.Scales, codes, end.Nodes[^1].Outputs[0], attributes));
        }
        return patch.Apply();
    }

    private static bool HasPlainForm(Node node) =>
        node.Attributes.Get("transA", 0L) == 0 && node.Attributes.Get("alpha", 1f) == 1 && (node.Input(2) is null || node.Attributes.Get("beta", 1f) == 1);

    /// <summary>The float value behind QuantizeLinear, where the layer is its only reader, so that the layer quantizes it itself.</summary>
    private static string? FusedInput(
        ModelGraph graph, Dictionary<string, Node> producers, ILookup<string, Node> consumers, HashSet<Node> claimed, Node dequantize, ElementType type)
    {
        var quantize = producers.GetValueOrDefault(dequantize.Inputs[0]);
        if (quantize is not { OpType: "QuantizeLinear" } || claimed.Contains(quantize) || type != ElementType.UInt8) return null;
        if (consumers[dequantize.Inputs[0]].Count() != 1 || consumers[dequantize.Outputs[0]].Count() != 1) return null;
        if (graph.IsOutput(dequantize.Inputs[0]) || graph.IsOutput(dequantize.Outputs[0])) return null;
        return QuantizedValue.PerTensor(graph, quantize) == QuantizedValue.PerTensor(graph, dequantize) ? quantize.Inputs[0] : null;
    }

    private static Node Engine(
        ModelGraph graph, GraphPatch patch, Node node, string type, string input, Node weights, float[] scales, Tensor? bias, string output, AttributeMap attributes)
    {
        // Rows come in sparse form from the caller only, so that other layers need not hold their weights a second time.
        if (graph.Inputs.Any(i => i.Name == input)) attributes = attributes.With("sparse_input", 1);
        string scaleName = patch.NewName($"{node.DisplayName}_scales");
        patch.SetInitializer(scaleName, Tensor.Create(scales, scales.Length));
        var inputs = new List<string> { input, weights.Inputs[0], scaleName };
        if (bias is not null)
        {
            inputs.Add(patch.NewName($"{node.DisplayName}_bias"));
            patch.SetInitializer(inputs[^1], bias);
        }
        return new(node.Name, type, [.. inputs], [output]) { Domain = OperatorSet.EngineDomain, Attributes = attributes };
    }

    /// <summary>The constant bias as float32 and, where it is stored so, as int32 codes (empty: none); null where it is not constant.</summary>
    private static LayerBias? BiasOf(ModelGraph graph, Dictionary<string, Node> producers, Node node, int n)
    {
        if (node.OpType == "MatMul" || node.Input(2) is not { } name) return new(null, [], []);
        if (graph.Initializers.TryGetValue(name, out var real))
        {
            bool row = real.Type == ElementType.Float && real.Rank <= 2 && (real.Rank < 2 || real.Dims[0] == 1) && real.Count == n;
            return row ? new(Tensor.Create(real.Span<float>(), n), null, []) : null;
        }
        if (QuantizedValue.SymmetricConstant(graph, producers.GetValueOrDefault(name), ElementType.Int32, 0) is not { } q || q.Codes.Count != n) return null;
        int[] codes = q.Codes.Span<int>().ToArray();
        var values = new float[n];
        for (int j = 0; j < n; j++) values[j] = codes[j] * q.Scales[q.Scales.Length == 1 ? 0 : j];
        return new(Tensor.Create(values, n), codes, q.Scales);
    }

    private static bool BiasFits(LayerBias bias, AffineParameters a, float[] weightScales, int n)
    {
        for (int j = 0; j < n && bias.Codes!.Length > 0; j++)
        {
            float product = a.Scale * weightScales[weightScales.Length == 1 ? 0 : j], found = bias.Scales[bias.Scales.Length == 1 ? 0 : j];
            // Another tool may have rounded the product once more or less.
            if (MathF.Abs(product - found) > 1e-6f * product) return false;
        }
        return true;
    }

    private sealed record LayerBias(Tensor? Real, int[]? Codes, float[] Scales);
}
