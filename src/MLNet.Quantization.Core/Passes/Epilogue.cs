using MLNet.Quantization.Graph;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Passes;

/// <summary>What follows a layer up to its QuantizeLinear: perhaps Relu or Clip, which are bounds on codes.</summary>
/// <param name="Output">Scale and zero point of the codes.</param>
/// <param name="Signed">s8, else u8.</param>
/// <param name="ClampMin">Lowest code that comes out.</param>
/// <param name="ClampMax">Highest code that comes out.</param>
/// <param name="Nodes">The nodes that are absorbed, QuantizeLinear last.</param>
internal sealed record Epilogue(AffineParameters Output, bool Signed, int ClampMin, int ClampMax, List<Node> Nodes)
{
    /// <summary>Null where the layer's result is read as float.</summary>
    public static Epilogue? Match(ModelGraph graph, ILookup<string, Node> consumers, Node layer)
    {
        var nodes = new List<Node>();
        string value = layer.Outputs[0];
        float low = float.NegativeInfinity, high = float.PositiveInfinity;
        while (!graph.IsOutput(value) && consumers[value].ToList() is [{ Domain: "" } next] && next.Inputs[0] == value)
        {
            nodes.Add(next);
            if (QuantizedValue.PerTensor(graph, next) is { } q && next.OpType == "QuantizeLinear")
            {
                bool signed = q.Type == ElementType.Int8;
                int least = signed ? -128 : 0, most = signed ? 127 : 255;
                return new(q.Parameters, signed, Code(low, q.Parameters, least, most), Code(high, q.Parameters, least, most), nodes);
            }
            if (next.OpType == "Relu") (low, high) = (MathF.Max(low, 0), MathF.Max(high, 0));
            else if (next.OpType == "Clip" && Bounds(graph, next) is { } bounds) (low, high) = (Math.Clamp(low, bounds.Min, bounds.Max), Math.Clamp(high, bounds.Min, bounds.Max));
            else return null;
            value = next.Outputs[0];
        }
        return null;
    }

    /// <summary>The code of a bound. Quantizing is monotone, so clamping codes equals quantizing what was clamped.</summary>
    private static int Code(float bound, AffineParameters p, int least, int most)
    {
        float v = Math.Clamp(bound / p.Scale, least - p.ZeroPoint, most - p.ZeroPoint);
        return (int)MathF.Round(v, MidpointRounding.ToEven) + p.ZeroPoint;
    }

    private static (float Min, float Max)? Bounds(ModelGraph graph, Node clip)
    {
        float min = clip.Attributes.Get("min", float.NegativeInfinity), max = clip.Attributes.Get("max", float.PositiveInfinity);
        if (clip.Input(1) is { } low)
        {
            if (!graph.Initializers.TryGetValue(low, out var t) || t.Type != ElementType.Float) return null;
            min = t.Span<float>()[0];
        }
        if (clip.Input(2) is { } high)
        {
            if (!graph.Initializers.TryGetValue(high, out var t) || t.Type != ElementType.Float) return null;
            max = t.Span<float>()[0];
        }
        return min <= max ? (min, max) : null;
    }
}
