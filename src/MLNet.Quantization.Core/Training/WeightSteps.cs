using System.Numerics;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Training;

/// <summary>Where the channels of weights lie: they are [Outer, Channels, Inner], row-major.</summary>
internal readonly record struct ChannelLayout(int Outer, int Channels, int Inner);

/// <summary>The scales of one layer's weights while training: those of the greatest weights, or learned ones.</summary>
/// <param name="layout">Of the weights.</param>
/// <param name="grid">Of the codes.</param>
/// <param name="options">How scales come about.</param>
internal sealed class WeightSteps(ChannelLayout layout, CodeGrid grid, QuantizerOptions options)
{
    public ChannelLayout Layout => layout;

    public CodeGrid Grid => grid;

    public bool ClipsGradients => options.ClipsGradients;

    /// <summary>As the last <see cref="Update"/> found them: one, or one a channel.</summary>
    public float[] Scales { get; } = new float[options.Granularity == WeightGranularity.PerTensor ? 1 : layout.Channels];

    public float ScaleOf(int channel) => Scales[Scales.Length == 1 ? 0 : channel];

    /// <summary>Brings <see cref="Scales"/> up to date.</summary>
    /// <param name="weights">The weights as they are now.</param>
    /// <param name="logSteps">Logarithms of learned scales, as many as <see cref="Scales"/>; empty where they follow from the greatest weights.</param>
    public void Update(ReadOnlySpan<float> weights, ReadOnlySpan<float> logSteps)
    {
        if (!logSteps.IsEmpty)
        {
            for (int i = 0; i < Scales.Length; i++) Scales[i] = ActivationQuantizer.StepOf(logSteps[i]);
            return;
        }
        Array.Clear(Scales);
        for (int row = 0, at = 0; row < layout.Outer; row++)
            if (layout.Inner == 1 && Scales.Length > 1)
            {
                Greatest(weights.Slice(at, layout.Channels), Scales);
                at += layout.Channels;
            }
            else
                for (int c = 0; c < layout.Channels; c++, at += layout.Inner)
                {
                    ref float greatest = ref Scales[Scales.Length == 1 ? 0 : c];
                    greatest = Math.Max(greatest, Greatest(weights.Slice(at, layout.Inner)));
                }
        for (int i = 0; i < Scales.Length; i++) Scales[i] = AffineRange.ScaleOf(Scales[i] / (double)grid.HalfSteps, out _);
    }

    /// <summary>First learned steps (<see cref="StepSearch"/>), as logarithms.</summary>
    public float[] FirstLogSteps(ReadOnlySpan<float> weights)
    {
        if (Scales.Length == 1) return [FirstLogStep(weights)];
        var steps = new float[Scales.Length];
        var channel = new float[weights.Length / layout.Channels];
        for (int c = 0; c < steps.Length; c++)
        {
            for (int row = 0; row < layout.Outer; row++)
                weights.Slice(((row * layout.Channels) + c) * layout.Inner, layout.Inner).CopyTo(channel.AsSpan(row * layout.Inner));
            steps[c] = FirstLogStep(channel);
        }
        return steps;
    }

    private float FirstLogStep(ReadOnlySpan<float> weights) =>
        (float)Math.Log(StepSearch.LeastSquares(weights, AffineRange.ScaleOf(Greatest(weights) / (double)grid.HalfSteps, out _), grid.Min, grid.Max));

    private static float Greatest(ReadOnlySpan<float> weights)
    {
        float greatest = 0;
        var vector = Vector<float>.Zero;
        int i = 0;
        for (; i <= weights.Length - Vector<float>.Count; i += Vector<float>.Count)
            vector = Vector.Max(vector, Vector.Abs(new Vector<float>(weights[i..])));
        for (int lane = 0; lane < Vector<float>.Count; lane++) greatest = Math.Max(greatest, vector[lane]);
        for (; i < weights.Length; i++) greatest = Math.Max(greatest, Math.Abs(weights[i]));
        return greatest;
    }

    private static void Greatest(ReadOnlySpan<float> row, Span<float> greatest)
    {
        int i = 0;
        for (; i <= row.Length - Vector<float>.Count; i += Vector<float>.Count)
            Vector.Max(new Vector<float>(greatest[i..]), Vector.Abs(new Vector<float>(row[i..]))).CopyTo(greatest[i..]);
        for (; i < row.Length; i++) greatest[i] = Math.Max(greatest[i], Math.Abs(row[i]));
    }
}
