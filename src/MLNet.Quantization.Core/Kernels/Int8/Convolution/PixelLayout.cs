namespace MLNet.Quantization.Kernels;

/// <summary>
/// How pixels lie in the padded copy of an image that windows are read from, and so how the weights of a window are ordered: a window is
/// a list of segments, each read as one run of bytes.
/// </summary>
/// <param name="Stride">Elements from one pixel to the next; the channels, or a few more.</param>
/// <param name="RunPixels">Pixels of one segment: a whole row of the window where its pixels are neighbours, else 1.</param>
/// <param name="SegmentLength">Elements of one segment, in whole groups of the kernel; weights beyond the last pixel's channels are 0.</param>
internal readonly record struct PixelLayout(int Stride, int RunPixels, int SegmentLength)
{
    /// <param name="kernel">Whose groups a segment is made of.</param>
    /// <param name="channels">Channels of a pixel.</param>
    /// <param name="groups">Groups of the convolution.</param>
    /// <param name="window">Width of the window.</param>
    /// <param name="dilation">Along the width.</param>
    /// <param name="inPlace">Pixels are read where they are, so that their stride is their channels.</param>
    public static PixelLayout For(Int8Kernel kernel, int channels, int groups, int window, int dilation, bool inPlace)
    {
        int stride = inPlace ? channels : StrideOf(kernel, channels);
        // Elements between pixels cost products with weights of 0.
        bool whole = groups == 1 && dilation == 1 && (stride == channels || stride < 5);
        int pixels = whole ? window : 1;
        int length = ((pixels - 1) * stride) + (channels / groups);
        return new(stride, pixels, (length + kernel.GroupSize - 1) / kernel.GroupSize * kernel.GroupSize);
    }

    /// <summary>Segments of a window.</summary>
    public int Segments(Extents window) => window.Count / RunPixels;

    /// <summary>The weights of one group as the products of a window want them: [segments · SegmentLength, outputs of the group].</summary>
    /// <param name="weights">s8 [outputs of the group, channels of the group, window].</param>
    /// <param name="outputs">Outputs of the group.</param>
    /// <param name="channels">Channels of the group.</param>
    /// <param name="window">Extents of the window.</param>
    public sbyte[] Arrange(ReadOnlySpan<sbyte> weights, int outputs, int channels, Extents window)
    {
        int taps = window.Count;
        var arranged = new sbyte[checked(Segments(window) * SegmentLength * outputs)];
        for (int tap = 0; tap < taps; tap++)
            for (int c = 0; c < channels; c++)
            {
                int row = (tap / RunPixels * SegmentLength) + (tap % RunPixels * Stride) + c;
                for (int f = 0; f < outputs; f++) arranged[(row * outputs) + f] = weights[(((f * channels) + c) * taps) + tap];
            }
        return arranged;
    }

    /// <summary>Four channels are one group of most kernels; rows that lie a multiple of 512 bytes apart would fall into the same sets of the first-level cache.</summary>
    private static int StrideOf(Int8Kernel kernel, int channels) =>
        channels == 3 ? 4 : channels * kernel.ActivationBytes % 512 == 0 ? channels + (64 / kernel.ActivationBytes) : channels;
}
