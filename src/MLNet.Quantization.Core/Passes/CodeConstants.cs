using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>Scales, zero points and bounds as constants of a graph that is edited, each number once.</summary>
internal sealed class CodeConstants(GraphPatch patch)
{
    private readonly Dictionary<(ElementType Type, float Value), string> _made = [];

    /// <summary>The scale, a scalar.</summary>
    public string Scale(CodeParameters codes) => Scalar(ElementType.Float, codes.Affine.Scale, Tensor.Scalar(codes.Affine.Scale));

    /// <summary>The zero point, a scalar whose type is that of the codes.</summary>
    public string Zero(CodeParameters codes) => Code(codes.Affine.ZeroPoint, codes.Type);

    /// <summary>A code, a scalar.</summary>
    public string Code(int code, ElementType type) => Scalar(type, code, type == ElementType.Int8 ? Tensor.Scalar((sbyte)code) : Tensor.Scalar((byte)code));

    /// <summary>Scales of weights: one, a scalar, or a list of one a channel.</summary>
    public string WeightScales(string stem, QuantizedConstant weights) => weights.Scales.Length == 1
        ? Scalar(ElementType.Float, weights.Scales[0], Tensor.Scalar(weights.Scales[0]))
        : New($"{stem}_weight_scales", Tensor.Create(weights.Scales, weights.Scales.Length));

    /// <summary>Zero points of weights, all 0, as many as scales.</summary>
    public string WeightZeros(string stem, QuantizedConstant weights) => weights.Scales.Length == 1
        ? Code(0, ElementType.Int8)
        : New($"{stem}_weight_zero_points", Tensor.Create(new sbyte[weights.Scales.Length], weights.Scales.Length));

    /// <summary>The s8 codes of weights as they are stored, or [K, N] from [N, K].</summary>
    public string Weights(string stem, QuantizedConstant weights, bool transpose)
    {
        if (!transpose) return weights.Name ?? New($"{stem}_weights", weights.Codes);
        return New($"{stem}_weights", Tensor.Create(weights.Turned(), weights.Codes.Dims[1], weights.Codes.Dims[0]));
    }

    /// <summary>Any constant, under a new name.</summary>
    public string New(string stem, Tensor value)
    {
        string name = patch.NewName(stem);
        patch.SetInitializer(name, value);
        return name;
    }

    private string Scalar(ElementType type, float value, Tensor tensor)
    {
        if (!_made.TryGetValue((type, value), out string? name)) _made.Add((type, value), name = New(type == ElementType.Float ? "scale" : "code", tensor));
        return name;
    }
}
