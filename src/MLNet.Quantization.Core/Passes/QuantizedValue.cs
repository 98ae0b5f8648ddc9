using MLNet.Quantization.Graph;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Passes;

/// <summary>Scale, zero point and code type of a value with one constant scale.</summary>
internal readonly record struct CodeParameters(AffineParameters Affine, ElementType Type)
{
    public CodeGrid Grid => Type == ElementType.Int8 ? CodeGrid.Int8 : CodeGrid.UInt8;

    /// <summary>The real numbers that the codes stand for.</summary>
    public (float Min, float Max) Range => (Quantizer.Value(Grid.Min, Affine), Quantizer.Value(Grid.Max, Affine));

    /// <summary>
    /// True where a code that is dequantized and quantized again is the same code: neither S·255 nor a step may leave the normal floats,
    /// then S·(q - Z) / S lies within a rounding of the integer.
    /// </summary>
    public bool SurvivesRoundTrip => float.IsNormal(Affine.Scale) && float.IsFinite(Affine.Scale * 255);
}

/// <summary>Recognizes QuantizeLinear and DequantizeLinear with constant parameters.</summary>
internal static class QuantizedValue
{
    /// <summary>The parameters where the node has one constant scale for the tensor and 8-bit codes; else null.</summary>
    public static CodeParameters? PerTensor(GraphIndex index, Node? node)
    {
        if (node is not { Domain: "", OpType: "QuantizeLinear" or "DequantizeLinear" }) return null;
        if (index.Constant(node.Inputs[1]) is not { Type: ElementType.Float, Count: 1 } scale) return null;
        float s = scale.Span<float>()[0];
        if (!float.IsFinite(s) || s <= 0) return null;
        if (node.Input(2) is not { } zeroName)
            return CodeTypeWithoutZeroPoint(index, node) is (ElementType.UInt8 or ElementType.Int8) and var type ? new(new(s, 0), type) : null;
        return index.Constant(zeroName) switch
        {
            { Type: ElementType.UInt8, Count: 1 } zero => new(new(s, zero.Span<byte>()[0]), ElementType.UInt8),
            { Type: ElementType.Int8, Count: 1 } zero => new(new(s, zero.Span<sbyte>()[0]), ElementType.Int8),
            _ => null,
        };
    }

    /// <summary>The parameters of what DequantizeLinear makes of a value; null where anything else makes it.</summary>
    public static CodeParameters? Dequantized(GraphIndex index, string value) => PerTensor(index, index.ProducerOf(value, "DequantizeLinear"));

    /// <summary>QuantizeLinear then makes u8 unless output_dtype says otherwise, DequantizeLinear takes what comes.</summary>
    private static ElementType? CodeTypeWithoutZeroPoint(GraphIndex index, Node node)
    {
        if (node.OpType == "QuantizeLinear") return (ElementType)node.Attributes.Get("output_dtype", (long)ElementType.UInt8);
        string codes = node.Inputs[0];
        if (index.Constant(codes) is { } constant) return constant.Type;
        if (index.IsInput(codes)) return index.Graph.Inputs.First(i => i.Name == codes).Type;
        var producer = index.Producers.GetValueOrDefault(codes);
        if (producer is not null && Movement.Is(index, producer)) return CodeTypeWithoutZeroPoint(index, node with { Inputs = node.Inputs.SetItem(0, producer.Inputs[0]) });
        return PerTensor(index, index.ProducerOf(codes, "QuantizeLinear"))?.Type;
    }
}
