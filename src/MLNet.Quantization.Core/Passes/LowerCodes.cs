using MLNet.Quantization.Graph;
using MLNet.Quantization.Numerics;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Ops.Quantized;

namespace MLNet.Quantization.Passes;

/// <summary>
/// What lies between quantizers and is neither a layer nor a table, as the engine's operators on codes: Add and Mul of two activations,
/// means of windows and of neighbours, maxima, and PRelu with a slope a channel.
/// </summary>
internal static class LowerCodes
{
    public static ModelGraph Apply(ModelGraph graph)
    {
        var patch = new GraphPatch(graph);
        var index = new GraphIndex(graph);
        var facts = GraphInference.Infer(graph);
        foreach (var node in graph.Nodes.Where(n => n.Domain.Length == 0 && n.Outputs.Length == 1))
        {
            switch (node.OpType)
            {
                case "Add" or "Mul":
                    Arithmetic(index, patch, node);
                    break;
                case "AveragePool" or "GlobalAveragePool":
                    Mean(index, patch, node, facts[node.Outputs[0]].Shape?.Rank);
                    break;
                case "Resize" when Movement.Interpolates(node):
                    Interpolation(index, patch, node);
                    break;
                case "PRelu" when Slopes.ByChannel(index, node, facts[node.Inputs[0]].Shape?.Rank) is { } slopes:
                    Slope(index, patch, node, slopes, facts[node.Inputs[0]].Shape!.Rank);
                    break;
                case "MaxPool" or "GlobalMaxPool" when facts[node.Inputs[0]].Type is ElementType.UInt8 or ElementType.Int8 && facts[node.Outputs[0]].Shape?.Rank is { } rank:
                    PutChannelsLast.Surround(patch, node with { OpType = nameof(QuantizedPool), Domain = OperatorSet.EngineDomain, Attributes = Maximum(node) }, rank);
                    patch.Remove(node);
                    break;
            }
        }
        return patch.Apply();
    }

    private static AttributeMap Maximum(Node node)
    {
        var attributes = node.Attributes.With("maximum", 1);
        return node.OpType == "GlobalMaxPool" ? attributes.With("global", 1) : attributes;
    }

    private static void Arithmetic(GraphIndex index, GraphPatch patch, Node node)
    {
        Node? a = index.ProducerOf(node.Inputs[0], "DequantizeLinear"), b = index.ProducerOf(node.Inputs[1], "DequantizeLinear");
        if (QuantizedValue.PerTensor(index, a) is not { } left || QuantizedValue.PerTensor(index, b) is not { } right || Epilogue.Match(index, node) is not { } end) return;
        if (index.Constant(a!.Inputs[0]) is not null || index.Constant(b!.Inputs[0]) is not null) return;
        var attributes = end.AddTo(AttributeMap.Empty).With("product", node.OpType == "Mul" ? 1 : 0)
            .With("a_scale", left.Affine.Scale).With("a_zero_point", left.Affine.ZeroPoint).With("b_scale", right.Affine.Scale).With("b_zero_point", right.Affine.ZeroPoint);
        foreach (var absorbed in end.Nodes) patch.Remove(absorbed);
        patch.Replace(node, new Node(node.Name, nameof(QuantizedArithmetic), [a.Inputs[0], b.Inputs[0]], [end.Nodes[^1].Outputs[0]]) { Domain = OperatorSet.EngineDomain, Attributes = attributes });
    }

    private static void Interpolation(GraphIndex index, GraphPatch patch, Node node)
    {
        var dequantize = index.ProducerOf(node.Inputs[0], "DequantizeLinear");
        if (QuantizedValue.PerTensor(index, dequantize) is not { } input || Epilogue.Match(index, node) is not { } end || index.Constant(dequantize!.Inputs[0]) is not null) return;
        var attributes = end.AddTo(node.Attributes).With("input_scale", input.Affine.Scale).With("input_zero_point", input.Affine.ZeroPoint);
        foreach (var absorbed in end.Nodes) patch.Remove(absorbed);
        patch.Replace(node, node with
        {
            OpType = nameof(QuantizedResize),
            Domain = OperatorSet.EngineDomain,
            Inputs = node.Inputs.SetItem(0, dequantize.Inputs[0]),
            Outputs = [end.Nodes[^1].Outputs[0]],
            Attributes = attributes,
        });
    }

    private static void Slope(GraphIndex index, GraphPatch patch, Node node, float[] slopes, int rank)
    {
        var dequantize = index.ProducerOf(node.Inputs[0], "DequantizeLinear");
        if (QuantizedValue.PerTensor(index, dequantize) is not { } input || Epilogue.Match(index, node) is not { } end || index.Constant(dequantize!.Inputs[0]) is not null) return;
        var codes = new byte[slopes.Length * CodeTable.Codes];
        for (int i = 0; i < codes.Length; i++)
        {
            float x = Quantizer.Value(input.Type == ElementType.Int8 ? (sbyte)i : (byte)i, input.Affine), y = x < 0 ? slopes[i / CodeTable.Codes] * x : x;
            codes[i] = (byte)Math.Clamp(Quantizer.Code(y, end.Output.Affine, end.Output.Grid), end.ClampMin, end.ClampMax);
        }
        string table = patch.NewName($"{node.DisplayName}_table");
        patch.SetInitializer(table, new Tensor(end.Output.Type, [slopes.Length, CodeTable.Codes], codes));
        foreach (var absorbed in end.Nodes) patch.Remove(absorbed);
        patch.Remove(node);
        var lowered = new Node(node.Name, nameof(ChannelTable), [dequantize.Inputs[0], table], [end.Nodes[^1].Outputs[0]]) { Domain = OperatorSet.EngineDomain };
        if (rank > 2) PutChannelsLast.Surround(patch, lowered, rank);
        else patch.Add(lowered);
    }

    private static void Mean(GraphIndex index, GraphPatch patch, Node node, int? rank)
    {
        var dequantize = index.ProducerOf(node.Inputs[0], "DequantizeLinear");
        if (QuantizedValue.PerTensor(index, dequantize) is not { } input || rank is not (>= 3 and <= 5) || index.Constant(dequantize!.Inputs[0]) is not null) return;
        var attributes = node.Attributes.With("input_scale", input.Affine.Scale).With("input_zero_point", input.Affine.ZeroPoint);
        if (node.OpType == "GlobalAveragePool") attributes = attributes.With("global", 1);
        string output = node.Outputs[0];
        if (Epilogue.Match(index, node) is { } end)
        {
            attributes = end.AddTo(attributes);
            foreach (var absorbed in end.Nodes) patch.Remove(absorbed);
            output = end.Nodes[^1].Outputs[0];
        }
        PutChannelsLast.Surround(patch, new(node.Name, nameof(QuantizedPool), [dequantize.Inputs[0]], [output]) { Domain = OperatorSet.EngineDomain, Attributes = attributes }, rank.Value);
        patch.Remove(node);
    }
}
