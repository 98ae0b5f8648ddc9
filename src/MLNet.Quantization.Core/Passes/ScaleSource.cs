using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Passes;

/// <summary>The range of one activation, and the share of calibration values that it cuts off.</summary>
internal sealed record ActivationRange(float Min, float Max, double? ClippedShare);

/// <summary>Scale and zero point of the codes of one activation, and which codes there are: within 0 to 255.</summary>
internal sealed record ActivationChoice(AffineParameters Parameters, CodeGrid Grid, double? ClippedShare, bool Floored)
{
    /// <summary>The real numbers that the codes stand for.</summary>
    public (float Min, float Max) Range => (Quantizer.Value(Grid.Min, Parameters), Quantizer.Value(Grid.Max, Parameters));
}

/// <summary>Decides what codes mean while quantizers are placed: scales and grids of activations and weights.</summary>
internal abstract class ScaleSource
{
    /// <summary>Activations are quantized row by row while scoring.</summary>
    public virtual bool IsDynamic => false;

    /// <summary>Whether there is a choice for an activation. Always true where <see cref="IsDynamic"/>.</summary>
    public abstract bool Knows(string activation);

    /// <summary>Null for dynamic activations, and for what is not known.</summary>
    public abstract ActivationChoice? Activation(string value, CodeRegions regions);

    /// <param name="owner">Display name of the layer.</param>
    /// <param name="part">Which of its weights: 0, or 1 for the recurrent ones.</param>
    /// <param name="weights">[n, k] where <paramref name="transposed"/>, else [k, n].</param>
    /// <param name="k">Elements of one sum.</param>
    /// <param name="n">Channels.</param>
    /// <param name="transposed">One channel's weights lie together.</param>
    /// <param name="granularity">One scale or n.</param>
    /// <param name="bias">n, or empty.</param>
    /// <param name="activationScale">Of the layer's input; null: the bias stays float.</param>
    public abstract WeightCodes Weights(
        string owner, int part, ReadOnlySpan<float> weights, int k, int n, bool transposed, WeightGranularity granularity, ReadOnlySpan<float> bias, float? activationScale);
}

/// <summary>Scales from observed ranges of activations, and from the greatest weights.</summary>
/// <param name="ranges">By value name; null for dynamic activations.</param>
/// <param name="scheme">Of activations.</param>
/// <param name="weightBits">2 to 8.</param>
/// <param name="activationBits">2 to 8; what does not follow from a layer, such as the model's inputs, has 8.</param>
internal sealed class RangeScales(IReadOnlyDictionary<string, ActivationRange>? ranges, QuantizationScheme scheme, int weightBits = 8, int activationBits = 8) : ScaleSource
{
    public override bool IsDynamic => ranges is null;

    public override bool Knows(string activation) => ranges?.ContainsKey(activation) != false;

    /// <summary>One scale for all values that codes only move between: of the range that holds theirs.</summary>
    public override ActivationChoice? Activation(string value, CodeRegions regions)
    {
        if (ranges?.GetValueOrDefault(value) is not { } own) return null;
        var all = regions.GroupOf(value).Select(v => ranges.GetValueOrDefault(v) ?? own).ToList();
        var grid = regions.GridOf(value, activationBits);
        var parameters = AffineRange.FromRange(all.Min(r => r.Min), all.Max(r => r.Max), grid, scheme, out var adjustment);
        return new(parameters, grid, own.ClippedShare, adjustment == RangeAdjustment.Floored);
    }

    public override WeightCodes Weights(
        string owner, int part, ReadOnlySpan<float> weights, int k, int n, bool transposed, WeightGranularity granularity, ReadOnlySpan<float> bias, float? activationScale) =>
        WeightCodes.Quantize(weights, k, n, transposed, granularity, bias, activationScale, CodeGrid.ForBits(weightBits, narrow: true));
}
