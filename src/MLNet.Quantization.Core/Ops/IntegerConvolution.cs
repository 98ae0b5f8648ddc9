using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Convolutions of 8-bit integers with any zero points, channels first, the plain way: what ConvInteger and QLinearConv run where no pass has
/// made them a layer of the engine. Sums are int32 modulo 2^32, as the standard has them.
/// </summary>
internal static class IntegerConvolution
{
    /// <summary>sums = Σ (x - Zx) · (w - Zw) over the window of each output pixel of one channel; what lies beyond the image is Zx.</summary>
    /// <param name="s">The extents.</param>
    /// <param name="x">One image [channels, pixels].</param>
    /// <param name="xZero">Zx.</param>
    /// <param name="xSigned">True where x is s8.</param>
    /// <param name="w">[outputs, channels of a group, taps].</param>
    /// <param name="wZero">Zw of the channel.</param>
    /// <param name="wSigned">True where w is s8.</param>
    /// <param name="channel">Of the output.</param>
    /// <param name="sums">One an output pixel.</param>
    public static void Sums(
        ConvolutionShape s, ReadOnlySpan<byte> x, int xZero, bool xSigned, ReadOnlySpan<byte> w, int wZero, bool wSigned, int channel, Span<int> sums)
    {
        sums.Clear();
        int taps = s.Window.Count, first = channel / s.GroupOutputs * s.GroupChannels;
        for (int c = 0; c < s.GroupChannels; c++)
        {
            var plane = x.Slice((first + c) * s.Input.Count, s.Input.Count);
            for (int tap = 0; tap < taps; tap++)
            {
                int weight = IntegerProduct.CodeAt(w, wSigned, (((channel * s.GroupChannels) + c) * taps) + tap) - wZero;
                if (weight != 0) AddTap(s, plane, xZero, xSigned, weight, tap, sums);
            }
        }
    }

    /// <summary>Adds what one element of the window contributes.</summary>
    private static void AddTap(ConvolutionShape s, ReadOnlySpan<byte> plane, int xZero, bool xSigned, int weight, int tap, Span<int> sums)
    {
        int fromDepth = (tap / (s.Window.Height * s.Window.Width) * s.Dilations.Depth) - s.Pads.Depth;
        int fromHeight = (tap / s.Window.Width % s.Window.Height * s.Dilations.Height) - s.Pads.Height;
        int fromWidth = (tap % s.Window.Width * s.Dilations.Width) - s.Pads.Width;
        for (int line = 0; line < s.Output.Depth * s.Output.Height; line++)
        {
            int d = (line / s.Output.Height * s.Strides.Depth) + fromDepth, h = (line % s.Output.Height * s.Strides.Height) + fromHeight;
            if (d < 0 || d >= s.Input.Depth || h < 0 || h >= s.Input.Height) continue;
            var row = plane.Slice(((d * s.Input.Height) + h) * s.Input.Width, s.Input.Width);
            var to = sums.Slice(line * s.Output.Width, s.Output.Width);
            for (int i = 0, at = fromWidth; i < to.Length; i++, at += s.Strides.Width)
                if ((uint)at < (uint)row.Length) to[i] = unchecked(to[i] + (weight * (IntegerProduct.CodeAt(row, xSigned, at) - xZero)));
        }
    }

    /// <summary>Checks a scale or zero point of the activations or of the output: one value.</summary>
    public static void CheckOne(OpContext context, int input)
    {
        if (context.Optional(input)?.Shape is { IsKnown: true } shape && shape.ElementCount != 1)
            throw context.Malformed($"input {input} ('{context.Node.Inputs[input]}') has shape {shape}, expected one value");
    }

    /// <summary>Checks a scale or zero point of the weights: one value, or one an output.</summary>
    public static void CheckChannels(OpContext context, int input, TensorShape? weights)
    {
        if (context.Optional(input)?.Shape is not { IsKnown: true } shape || shape.ElementCount == 1 || weights is not { Rank: > 0 } w || !w[0].IsKnown) return;
        if (shape.Rank != 1 || shape.ElementCount != w[0].Value)
            throw context.Malformed($"input {input} ('{context.Node.Inputs[input]}') has shape {shape}, expected one value, or one for each of {w[0]} outputs");
    }

    /// <summary>The zero point of a channel; 0 where there are none.</summary>
    public static int ZeroOf(ReadOnlySpan<byte> zeros, bool signed, int channel) => zeros.IsEmpty ? 0 : IntegerProduct.CodeAt(zeros, signed, zeros.Length == 1 ? 0 : channel);
}
