using MLNet.Quantization.Graph;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Passes;

/// <summary>Recognizes QuantizeLinear and DequantizeLinear with constant parameters.</summary>
internal static class QuantizedValue
{
    /// <summary>Scale, zero point and code type where the node has one constant scale for the tensor; else null.</summary>
    public static (AffineParameters Parameters, ElementType Type)? PerTensor(ModelGraph graph, Node? node)
    {
        if (node is null || node.Domain.Length > 0 || node.OpType is not ("QuantizeLinear" or "DequantizeLinear")) return null;
        if (!graph.Initializers.TryGetValue(node.Inputs[1], out var scale) || scale.Type != ElementType.Float || scale.Count != 1) return null;
        float s = scale.Span<float>()[0];
        if (!float.IsFinite(s) || s <= 0) return null;
        if (node.Input(2) is not { } zeroName) return node.Attributes.Count == 0 || !node.Attributes.Contains("output_dtype") ? (new(s, 0), ElementType.UInt8) : null;
        if (!graph.Initializers.TryGetValue(zeroName, out var zero) || zero.Count != 1) return null;
        return zero.Type switch
        {
            ElementType.UInt8 => (new(s, zero.Span<byte>()[0]), ElementType.UInt8),
            ElementType.Int8 => (new(s, zero.Span<sbyte>()[0]), ElementType.Int8),
            _ => null,
        };
    }

    /// <summary>
    /// Codes and scales of a constant behind DequantizeLinear with zero points of 0: one scale, or one for each extent of
    /// <paramref name="axis"/>; else null.
    /// </summary>
    public static (Tensor Codes, float[] Scales)? SymmetricConstant(ModelGraph graph, Node? node, ElementType type, int axis)
    {
        if (node is not { OpType: "DequantizeLinear", Domain: "" }) return null;
        if (!graph.Initializers.TryGetValue(node.Inputs[0], out var codes) || codes.Type != type) return null;
        if (!graph.Initializers.TryGetValue(node.Inputs[1], out var scale) || scale.Type != ElementType.Float || scale.Rank > 1) return null;
        if (node.Input(2) is { } zero && (!graph.Initializers.TryGetValue(zero, out var z) || z.Bytes.Span.ContainsAnyExcept((byte)0))) return null;
        if (node.Attributes.Get("block_size", 0L) != 0) return null;
        long declared = node.Attributes.Get("axis", 1L);
        int actual = (int)(declared < 0 ? declared + codes.Rank : declared);
        if (scale.Count != 1 && (codes.Rank <= axis || actual != axis || scale.Count != codes.Dims[axis])) return null;
        return (codes, scale.Span<float>().ToArray());
    }
}
