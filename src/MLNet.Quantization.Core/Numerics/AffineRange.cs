namespace MLNet.Quantization.Numerics;

/// <summary>From a range of real numbers to scale and zero point.</summary>
internal static class AffineRange
{
    /// <summary>2^-60. A smaller scale would make denormal products of two scales.</summary>
    public const double LeastScale = 1.0 / (1L << 60);

    /// <summary>
    /// Widens the range to hold 0, which is then represented exactly. Asymmetric: S = (max - min) / (qmax - qmin),
    /// Z = clamp(round(qmin - min / S)). Symmetric: S = max(|min|, |max|) / half the steps, Z = the code of 0. Computed in double; S is
    /// stored as float32, and Z follows from the stored S. Rounding is half to even.
    /// </summary>
    /// <param name="min">Smallest value, finite.</param>
    /// <param name="max">Largest value, finite, not below <paramref name="min"/>.</param>
    /// <param name="grid">The codes to use.</param>
    /// <param name="scheme">Symmetric or asymmetric.</param>
    /// <param name="adjustment">What kept S from being what the formula gives.</param>
    /// <remarks>The affine map and its rounding are those of ONNX's QuantizeLinear.</remarks>
    /// <exception cref="ArgumentException">The range is not finite, or its ends are swapped.</exception>
    public static AffineParameters FromRange(float min, float max, CodeGrid grid, QuantizationScheme scheme, out RangeAdjustment adjustment)
    {
        if (!float.IsFinite(min) || !float.IsFinite(max) || min > max)
            throw new ArgumentException(FormattableString.Invariant($"[{min}, {max}] is not a range of finite numbers."), nameof(min));
        double low = Math.Min(min, 0d), high = Math.Max(max, 0d);
        if (scheme == QuantizationScheme.Symmetric)
            return new(ScaleOf(Math.Max(-low, high) / grid.HalfSteps, out adjustment), grid.ZeroCode);
        float scale = ScaleOf((high - low) / (grid.Max - grid.Min), out adjustment);
        double zero = Math.Round(grid.Min - low / scale, MidpointRounding.ToEven);
        return new(scale, (int)Math.Clamp(zero, grid.Min, grid.Max));
    }

    /// <summary>The float32 to store for an exact scale: 1 for 0, at least <see cref="LeastScale"/>.</summary>
    /// <param name="exact">0 or more.</param>
    /// <param name="adjustment">What kept the result from being <paramref name="exact"/>.</param>
    public static float ScaleOf(double exact, out RangeAdjustment adjustment)
    {
        adjustment = exact == 0 ? RangeAdjustment.AllZero : exact < LeastScale ? RangeAdjustment.Floored : RangeAdjustment.None;
        return exact == 0 ? 1 : (float)Math.Max(exact, LeastScale);
    }
}
