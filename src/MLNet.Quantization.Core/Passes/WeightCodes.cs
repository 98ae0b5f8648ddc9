using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Passes;

/// <summary>Symmetric s8 codes of a weight matrix, in [-127, 127] unless asked otherwise, the scales, the int32 bias that goes with them, and what it cost.</summary>
internal sealed class WeightCodes
{
    /// <summary>Most that an activation code can lie from its zero point.</summary>
    private const int MaxActivation = 255;

    /// <summary>As many as the matrix, in its order.</summary>
    public required sbyte[] Codes { get; init; }

    /// <summary>One for the matrix or one a channel.</summary>
    public required float[] Scales { get; init; }

    /// <summary>At scale Sa · Sw[channel]; empty where there is no bias or no activation scale.</summary>
    public required int[] Bias { get; init; }

    /// <summary>10·log10(Σ w² / Σ (w - w')²); +infinity where nothing is lost.</summary>
    public required double SignalToNoise { get; init; }

    /// <summary>Scales that would have been below 2^-60.</summary>
    public required int FlooredScales { get; init; }

    /// <summary>Channels whose scale was enlarged so that bias and products fit int32.</summary>
    public required int EnlargedChannels { get; init; }

    /// <param name="weights">[n, k] where <paramref name="transposed"/>, else [k, n].</param>
    /// <param name="k">Elements of one sum.</param>
    /// <param name="n">Channels.</param>
    /// <param name="transposed">One channel's weights lie together.</param>
    /// <param name="granularity">One scale or n.</param>
    /// <param name="bias">n, or empty.</param>
    /// <param name="activationScale">Sa, or null for dynamic activations: the bias then stays float.</param>
    /// <param name="grid">Of the codes; null: [-127, 127].</param>
    /// <param name="given">One scale or n that were chosen before; null: from the greatest weights.</param>
    public static WeightCodes Quantize(
        ReadOnlySpan<float> weights, int k, int n, bool transposed, WeightGranularity granularity, ReadOnlySpan<float> bias, float? activationScale,
        CodeGrid? grid = null, float[]? given = null)
    {
        var codeGrid = grid ?? CodeGrid.Int8Narrow;
        int floored = 0;
        float[] scales = given is null ? WeightQuantizer.Scales(weights, n, transposed, granularity, codeGrid, out floored) : [.. given];
        int enlarged = 0;
        if (activationScale is { } sa)
            for (int j = 0; j < bias.Length; j++)
            {
                float least = LeastScaleFor(bias[j], k, sa);
                ref float scale = ref scales[scales.Length == 1 ? 0 : j];
                if (!(scale < least)) continue;
                scale = least;
                enlarged++;
            }

        var codes = WeightQuantizer.Codes(weights, n, transposed, scales, codeGrid);
        return new()
        {
            Codes = codes,
            Scales = scales,
            Bias = activationScale is { } s ? BiasCodes(bias, scales, s) : [],
            SignalToNoise = WeightQuantizer.SignalToNoise(weights, n, transposed, scales, codes),
            FlooredScales = floored,
            EnlargedChannels = enlarged,
        };
    }

    /// <summary>The scale at which |bias code| + k · max|product| just fits int32; beyond 66,000 products half of int32 goes to the bias.</summary>
    private static float LeastScaleFor(float bias, int k, float activationScale)
    {
        double room = Math.Max(int.MaxValue - (double)k * MaxActivation * CodeGrid.Int8Narrow.Max, int.MaxValue / 2);
        return (float)(Math.Abs((double)bias) / activationScale / room * (1 + 1e-6));
    }

    private static int[] BiasCodes(ReadOnlySpan<float> bias, float[] scales, float activationScale)
    {
        var codes = new int[bias.Length];
        for (int j = 0; j < codes.Length; j++)
        {
            double scale = activationScale * scales[scales.Length == 1 ? 0 : j];
            codes[j] = (int)Math.Clamp(Math.Round(bias[j] / scale, MidpointRounding.ToEven), int.MinValue, int.MaxValue);
        }
        return codes;
    }
}
