using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>
/// What comes out of a layer, by channel: codes where it has output_scale, else float32. Attributes: input_scale, input_zero_point,
/// output_scale, output_zero_point, output_signed, clamp_min, clamp_max.
/// </summary>
/// <param name="Codes">How codes are made; null for float32.</param>
/// <param name="Input">Of the activations, as u8 codes.</param>
/// <param name="Scales">Of the weights, one a channel.</param>
/// <param name="Bias">float32, for float32 output; may be empty.</param>
/// <param name="IsSigned">Codes are s8.</param>
internal sealed record CodeStage(CodeOutput? Codes, AffineParameters Input, float[] Scales, float[] Bias, bool IsSigned)
{
    public static ElementType OutputType(OpContext context) =>
        !context.Node.Attributes.Contains("output_scale") ? ElementType.Float : context.Attribute("output_signed", 0L) != 0 ? ElementType.Int8 : ElementType.UInt8;

    /// <summary>Scale and zero point of the activations as u8 codes; s8 codes run as u8 codes that lie 128 higher.</summary>
    public static AffineParameters InputOf(OpContext context) =>
        new(context.Attribute("input_scale", 0f), (int)context.Attribute("input_zero_point", 0L) + (context.Input(0).Type == ElementType.Int8 ? 128 : 0));

    /// <param name="context">Weight scales at input 2, bias at input 3.</param>
    /// <param name="channels">Of the output.</param>
    public static CodeStage Read(PrepareContext context, int channels)
    {
        var input = InputOf(context);
        float[] scales = LinearShape.Scales(context, channels);
        if (OutputType(context) == ElementType.Float) return new(null, input, scales, LinearShape.Bias<float>(context).ToArray(), false);
        float outputScale = context.Attribute("output_scale", 1f);
        var codes = new CodeOutput(
            LinearShape.Bias<int>(context).ToArray(), Array.ConvertAll(scales, s => input.Scale * s / outputScale), (int)context.Attribute("output_zero_point", 0L),
            (int)context.Attribute("clamp_min", 0L), (int)context.Attribute("clamp_max", 255L));
        return new(codes, input, scales, [], OutputType(context) == ElementType.Int8);
    }

    /// <summary>The same for all channels of so many pixels.</summary>
    public CodeStage Repeat(int pixels)
    {
        return this with { Codes = Codes is null ? null : Codes with { Bias = Copies(Codes.Bias), Multipliers = Copies(Codes.Multipliers) }, Scales = Copies(Scales), Bias = Copies(Bias) };

        T[] Copies<T>(T[] values) => [.. Enumerable.Repeat(values, pixels).SelectMany(v => v)];
    }

    /// <summary>The product whose columns are the channels from <paramref name="first"/> on.</summary>
    public Int8Product Product(Int8Weights weights, int first)
    {
        if (Codes is null) return new FloatProduct(weights, Scales.AsSpan(first, weights.N), Part(Bias));
        return new RequantizedProduct(
            weights, Input.ZeroPoint, Part(Codes.Bias), Codes.Multipliers.AsSpan(first, weights.N), Codes.ZeroPoint, Codes.ClampMin, Codes.ClampMax, IsSigned);

        ReadOnlySpan<T> Part<T>(T[] values) => values.Length == 0 ? default : values.AsSpan(first, weights.N);
    }
}
