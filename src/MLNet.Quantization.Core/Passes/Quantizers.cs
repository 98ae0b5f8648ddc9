using MLNet.Quantization.Graph;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Passes;

/// <summary>Puts QuantizeLinear and DequantizeLinear into a graph.</summary>
internal static class Quantizers
{
    /// <summary>The dequantized form of <paramref name="name"/>, made once for all its readers.</summary>
    /// <param name="patch">What is changed.</param>
    /// <param name="name">A float value.</param>
    /// <param name="choice">Scale, zero point and grid of its u8 codes; a grid of fewer than 8 bits is kept by a Clip before them.</param>
    /// <param name="placed">What was made so far, by value.</param>
    public static string Activation(GraphPatch patch, string name, ActivationChoice choice, Dictionary<string, string> placed)
    {
        if (placed.TryGetValue(name, out string? made)) return made;
        var p = choice.Parameters;
        string source = choice.Grid == CodeGrid.UInt8 ? name : Bounded(patch, name, choice);
        string scale = patch.NewName($"{name}_scale"), zero = patch.NewName($"{name}_zero_point");
        string codes = patch.NewName($"{name}_quantized"), real = patch.NewName($"{name}_dequantized");
        patch.SetInitializer(scale, Tensor.Scalar(p.Scale)).SetInitializer(zero, Tensor.Scalar((byte)p.ZeroPoint));
        patch.Add(Node.Create(patch.NewName($"{name}_QuantizeLinear"), "QuantizeLinear", [source, scale, zero], [codes]));
        patch.Add(Node.Create(patch.NewName($"{name}_DequantizeLinear"), "DequantizeLinear", [codes, scale, zero], [real]));
        return placed[name] = real;
    }

    private static string Bounded(GraphPatch patch, string name, ActivationChoice choice)
    {
        string low = patch.NewName($"{name}_lowest"), high = patch.NewName($"{name}_highest"), bounded = patch.NewName($"{name}_bounded");
        patch.SetInitializer(low, Tensor.Scalar(Quantizer.Value(choice.Grid.Min, choice.Parameters))).SetInitializer(high, Tensor.Scalar(Quantizer.Value(choice.Grid.Max, choice.Parameters)));
        patch.Add(Node.Create(patch.NewName($"{name}_Clip"), "Clip", [name, low, high], [bounded]));
        return bounded;
    }

    /// <summary>The float form of constant codes.</summary>
    /// <param name="patch">What is changed.</param>
    /// <param name="stem">Of the names.</param>
    /// <param name="codes">Int8, or Int32 for a bias.</param>
    /// <param name="scales">One, or one for each extent of the axis.</param>
    /// <param name="axis">Of several scales.</param>
    public static string Dequantize(GraphPatch patch, string stem, Tensor codes, float[] scales, int axis)
    {
        string quantized = patch.NewName($"{stem}_quantized"), scale = patch.NewName($"{stem}_scale"), real = patch.NewName($"{stem}_dequantized");
        patch.SetInitializer(quantized, codes).SetInitializer(scale, scales.Length == 1 ? Tensor.Scalar(scales[0]) : Tensor.Create(scales, scales.Length));
        var inputs = new List<string> { quantized, scale };
        if (codes.Type == ElementType.Int8)
        {
            string zero = patch.NewName($"{stem}_zero_point");
            patch.SetInitializer(zero, scales.Length == 1 ? Tensor.Scalar((sbyte)0) : Tensor.Create(new sbyte[scales.Length], scales.Length));
            inputs.Add(zero);
        }
        var node = Node.Create(patch.NewName($"{stem}_DequantizeLinear"), "DequantizeLinear", [.. inputs], [real]);
        patch.Add(scales.Length == 1 ? node : node with { Attributes = AttributeMap.Empty.With("axis", axis) });
        return real;
    }

    /// <exception cref="ModelFormatException">A value is NaN or infinite.</exception>
    public static void CheckFinite(Node node, string tensor, float[] values)
    {
        int at = Array.FindIndex(values, v => !float.IsFinite(v));
        if (at < 0) return;
        throw new ModelFormatException(
            FormattableString.Invariant($"Node '{node.DisplayName}' ({node.OpType}): element {at} of constant '{tensor}' is {values[at]}, expected finite numbers."), node.DisplayName, tensor);
    }
}
