using MLNet.Quantization.Graph;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Passes;

/// <summary>
/// What follows a layer up to its QuantizeLinear: perhaps Relu or Clip, which are bounds on codes. Quantizing is monotone, so clamping
/// codes equals quantizing what was clamped.
/// </summary>
/// <param name="Output">Of the codes that come out.</param>
/// <param name="ClampMin">Lowest code that comes out.</param>
/// <param name="ClampMax">Highest code that comes out.</param>
/// <param name="Nodes">The nodes that are absorbed, QuantizeLinear last.</param>
internal sealed record Epilogue(CodeParameters Output, int ClampMin, int ClampMax, List<Node> Nodes)
{
    /// <summary>Null where the layer's result is read as float.</summary>
    public static Epilogue? Match(GraphIndex index, Node layer)
    {
        var nodes = new List<Node>();
        string value = layer.Outputs[0];
        float low = float.NegativeInfinity, high = float.PositiveInfinity;
        while (index.OnlyConsumerOf(value) is { Domain: "" } next && next.Inputs[0] == value)
        {
            nodes.Add(next);
            if (next.OpType == "QuantizeLinear")
            {
                if (QuantizedValue.PerTensor(index, next) is not { } q) return null;
                return new(q, Quantizer.Code(low, q.Affine, q.Grid), Quantizer.Code(high, q.Affine, q.Grid), nodes);
            }
            if (BoundsOf(index, next) is not { } bounds) return null;
            (low, high) = (Math.Clamp(low, bounds.Min, bounds.Max), Math.Clamp(high, bounds.Min, bounds.Max));
            value = next.Outputs[0];
        }
        return null;
    }

    /// <summary>The attributes by which the engine's operators know what codes to make.</summary>
    public AttributeMap AddTo(AttributeMap attributes) =>
        attributes.With("output_scale", Output.Affine.Scale).With("output_zero_point", Output.Affine.ZeroPoint).With("output_signed", Output.Type == ElementType.Int8 ? 1 : 0)
            .With("clamp_min", ClampMin).With("clamp_max", ClampMax);

    private static (float Min, float Max)? BoundsOf(GraphIndex index, Node node)
    {
        if (node.OpType == "Relu") return (0, float.PositiveInfinity);
        if (node.OpType != "Clip") return null;
        var min = Bound(index, node, 1, "min", float.NegativeInfinity);
        var max = Bound(index, node, 2, "max", float.PositiveInfinity);
        // Where min > max the standard's versions differ in what comes out.
        return min <= max ? (min.Value, max.Value) : null;
    }

    /// <summary>Null where the bound is computed or not float32.</summary>
    private static float? Bound(GraphIndex index, Node clip, int input, string attribute, float absent)
    {
        if (clip.Input(input) is not { } name) return clip.Attributes.Get(attribute, absent);
        return index.Constant(name) is { Type: ElementType.Float, Count: 1 } value ? value.Span<float>()[0] : null;
    }
}
