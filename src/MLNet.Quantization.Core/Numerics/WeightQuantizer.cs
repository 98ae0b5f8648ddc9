namespace MLNet.Quantization.Numerics;

/// <summary>Symmetric s8 codes of a weight matrix, whose columns of outputs are its channels.</summary>
internal static class WeightQuantizer
{
    /// <summary>The scale of each channel, or one for all: the greatest magnitude over the codes on each side of 0, 127 with 8 bits.</summary>
    /// <param name="weights">[n, k] where <paramref name="transposed"/>, else [k, n]; finite.</param>
    /// <param name="n">Channels.</param>
    /// <param name="transposed">True where the weights of one channel lie together.</param>
    /// <param name="granularity">n scales or 1.</param>
    /// <param name="grid">Of the codes.</param>
    /// <param name="floored">How many scales were below <see cref="AffineRange.LeastScale"/>.</param>
    /// <exception cref="ArgumentException">A weight is NaN or infinite.</exception>
    public static float[] Scales(ReadOnlySpan<float> weights, int n, bool transposed, WeightGranularity granularity, CodeGrid grid, out int floored)
    {
        var greatest = new float[n];
        int k = n == 0 ? 0 : weights.Length / n;
        for (int i = 0; i < weights.Length; i++)
        {
            if (!float.IsFinite(weights[i])) throw new ArgumentException(FormattableString.Invariant($"Weight {i} is {weights[i]}."), nameof(weights));
            int channel = transposed ? i / k : i % n;
            greatest[channel] = MathF.Max(greatest[channel], MathF.Abs(weights[i]));
        }
        if (granularity == WeightGranularity.PerTensor) greatest = [n == 0 ? 0 : greatest.Max()];
        var scales = new float[greatest.Length];
        floored = 0;
        for (int c = 0; c < scales.Length; c++)
        {
            scales[c] = AffineRange.ScaleOf(greatest[c] / (double)grid.HalfSteps, out var adjustment);
            if (adjustment == RangeAdjustment.Floored) floored++;
        }
        return scales;
    }

    /// <summary>The codes, in the order of the weights.</summary>
    /// <param name="weights">[n, k] where <paramref name="transposed"/>, else [k, n].</param>
    /// <param name="n">Channels.</param>
    /// <param name="transposed">True where the weights of one channel lie together.</param>
    /// <param name="scales">n or 1.</param>
    /// <param name="grid">Of the codes.</param>
    public static sbyte[] Codes(ReadOnlySpan<float> weights, int n, bool transposed, ReadOnlySpan<float> scales, CodeGrid grid)
    {
        var codes = new sbyte[weights.Length];
        int k = n == 0 ? 0 : weights.Length / n;
        for (int i = 0; i < codes.Length; i++)
            codes[i] = (sbyte)Quantizer.Code(weights[i], new(ScaleAt(scales, i, k, n, transposed), 0), grid);
        return codes;
    }

    /// <summary>10 · log10(Σ w² / Σ (w - w')²), w' being what the codes stand for; +infinity where nothing is lost.</summary>
    public static double SignalToNoise(ReadOnlySpan<float> weights, int n, bool transposed, ReadOnlySpan<float> scales, ReadOnlySpan<sbyte> codes)
    {
        double signal = 0, noise = 0;
        int k = n == 0 ? 0 : weights.Length / n;
        for (int i = 0; i < codes.Length; i++)
        {
            double error = weights[i] - (double)ScaleAt(scales, i, k, n, transposed) * codes[i];
            signal += (double)weights[i] * weights[i];
            noise += error * error;
        }
        return noise == 0 ? double.PositiveInfinity : 10 * Math.Log10(signal / noise);
    }

    private static float ScaleAt(ReadOnlySpan<float> scales, int i, int k, int n, bool transposed) =>
        scales[scales.Length == 1 ? 0 : transposed ? i / k : i % n];
}
