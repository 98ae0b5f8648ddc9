namespace MLNet.Quantization.Kernels;

/// <summary>The definition of the INT8 convolution's sums: what the kernels are held against, and nothing that scores.</summary>
internal static class NaiveConvolution
{
    /// <summary>acc [images, output pixels, outputs] = Σ (a - Za) · w over the window, elements beyond the input being Za, so adding nothing.</summary>
    /// <param name="s">The extents.</param>
    /// <param name="a">u8 [images, depth, height, width, channels].</param>
    /// <param name="zeroPoint">Za.</param>
    /// <param name="w">s8 [outputs, channels of a group, window], as ONNX has them.</param>
    public static long[] Sums(ConvolutionShape s, ReadOnlySpan<byte> a, int zeroPoint, ReadOnlySpan<sbyte> w)
    {
        int taps = s.Window.Count, at = 0;
        var sums = new long[s.Images * s.Output.Count * s.Outputs];
        for (int image = 0; image < s.Images; image++)
            for (int z = 0; z < s.Output.Depth; z++)
                for (int y = 0; y < s.Output.Height; y++)
                    for (int x = 0; x < s.Output.Width; x++)
                        for (int f = 0; f < s.Outputs; f++, at++)
                        {
                            int first = f / s.GroupOutputs * s.GroupChannels;
                            for (int tap = 0; tap < taps; tap++)
                            {
                                int d = (z * s.Strides.Depth) + (tap / (s.Window.Height * s.Window.Width) * s.Dilations.Depth) - s.Pads.Depth;
                                int h = (y * s.Strides.Height) + (tap / s.Window.Width % s.Window.Height * s.Dilations.Height) - s.Pads.Height;
                                int v = (x * s.Strides.Width) + (tap % s.Window.Width * s.Dilations.Width) - s.Pads.Width;
                                if (d < 0 || d >= s.Input.Depth || h < 0 || h >= s.Input.Height || v < 0 || v >= s.Input.Width) continue;
                                int pixel = (((((image * s.Input.Depth) + d) * s.Input.Height) + h) * s.Input.Width) + v;
                                for (int c = 0; c < s.GroupChannels; c++)
                                    sums[at] += (long)(a[(pixel * s.Channels) + first + c] - zeroPoint) * w[(((f * s.GroupChannels) + c) * taps) + tap];
                            }
                        }
        return sums;
    }

    /// <summary>acc [images, output pixels, outputs] of the transposed convolution: each input adds its products to the outputs that its window covers.</summary>
    /// <param name="s">Of the convolution that it transposes: its outputs are this input, its channels these outputs, its pads what is cut off.</param>
    /// <param name="a">u8 [images, depth, height, width, channels].</param>
    /// <param name="zeroPoint">Za.</param>
    /// <param name="w">s8 [channels, outputs of a group, window], as ONNX has them.</param>
    public static long[] TransposedSums(ConvolutionShape s, ReadOnlySpan<byte> a, int zeroPoint, ReadOnlySpan<sbyte> w)
    {
        int taps = s.Window.Count, pixel = 0;
        var sums = new long[s.Images * s.Input.Count * s.Channels];
        for (int image = 0; image < s.Images; image++)
            for (int z = 0; z < s.Output.Depth; z++)
                for (int y = 0; y < s.Output.Height; y++)
                    for (int x = 0; x < s.Output.Width; x++, pixel++)
                        for (int tap = 0; tap < taps; tap++)
                        {
                            int d = (z * s.Strides.Depth) + (tap / (s.Window.Height * s.Window.Width) * s.Dilations.Depth) - s.Pads.Depth;
                            int h = (y * s.Strides.Height) + (tap / s.Window.Width % s.Window.Height * s.Dilations.Height) - s.Pads.Height;
                            int v = (x * s.Strides.Width) + (tap % s.Window.Width * s.Dilations.Width) - s.Pads.Width;
                            if (d < 0 || d >= s.Input.Depth || h < 0 || h >= s.Input.Height || v < 0 || v >= s.Input.Width) continue;
                            int to = (((((image * s.Input.Depth) + d) * s.Input.Height) + h) * s.Input.Width) + v;
                            for (int c = 0; c < s.Outputs; c++)
                                for (int f = 0; f < s.GroupChannels; f++)
                                    sums[(to * s.Channels) + (c / s.GroupOutputs * s.GroupChannels) + f] += (long)(a[(pixel * s.Outputs) + c] - zeroPoint) * w[(((c * s.GroupChannels) + f) * taps) + tap];
                        }
        return sums;
    }
}
