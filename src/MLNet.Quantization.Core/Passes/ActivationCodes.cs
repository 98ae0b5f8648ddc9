using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Passes;

/// <summary>Scale and zero point of u8 activations from a range of real numbers.</summary>
internal static class ActivationCodes
{
    /// <summary>A smaller scale would make denormal products.</summary>
    public const double LeastScale = 1.0 / (1L << 60);

    /// <summary>
    /// The range widened to hold 0; in double S = (max - min) / 255, or 2·max|x| / 254 around Z = 128 where symmetric; Z = round(-min / S)
    /// from the stored float32 S. A range of nothing but 0 gives S = 1, Z = 0.
    /// </summary>
    public static AffineParameters Choose(float min, float max, QuantizationScheme scheme, out bool floored)
    {
        double low = Math.Min(min, 0d), high = Math.Max(max, 0d);
        floored = false;
        bool symmetric = scheme == QuantizationScheme.Symmetric;
        double exact = symmetric ? Math.Max(-low, high) / 127 : (high - low) / 255;
        if (exact == 0) return new(1, symmetric ? 128 : 0);
        floored = exact < LeastScale;
        float scale = (float)Math.Max(exact, LeastScale);
        if (!float.IsFinite(scale)) scale = float.MaxValue;
        return new(scale, symmetric ? 128 : (int)Math.Clamp(Math.Round(-low / scale, MidpointRounding.ToEven), 0, 255));
    }
}
