using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// Copies one image, line by line, to where windows are read from: in the form of the kernel, channels last, with the zero point where
/// windows reach beyond it.
/// </summary>
internal readonly unsafe struct PaddedImage(ActivationForm form, ConvolutionShape shape, int pixelStride, PixelSource source)
{
    /// <summary>Bytes behind the last line, up to where whole groups of it are read.</summary>
    public const int Slack = 64;

    private readonly Extents _padded = shape.Padded;

    /// <summary>Lines of the copy.</summary>
    public int Lines => _padded.Depth * _padded.Height;

    public long PixelBytes { get; } = (long)pixelStride * (form == ActivationForm.Words ? 2 : 1);

    public long LineBytes => _padded.Width * PixelBytes;

    /// <summary>Of the whole copy.</summary>
    public long Bytes => BytesOf(Lines);

    /// <summary>Of so many lines, with what may be read behind them; a multiple of 64.</summary>
    public long BytesOf(int lines) => AlignedBuffer.Align((lines * LineBytes) + Slack);

    /// <summary>What one thread needs beside while it copies.</summary>
    public long ScratchBytes
    {
        get
        {
            long pixels = (long)shape.Input.Width * shape.Channels, columns = source.Form is PixelForm.FloatChannelsFirst or PixelForm.CodesChannelsFirst ? pixels : 0;
            long interleaved = form == ActivationForm.Bytes ? 0 : (long)shape.Input.Width * pixelStride;
            return AlignedBuffer.Align(columns + interleaved + (2 * Slack));
        }
    }

    /// <summary>Writes a line of the copy, or a part of it.</summary>
    /// <param name="image">The image's first pixel.</param>
    /// <param name="line">Its number: depth · padded height + height.</param>
    /// <param name="to">First byte of the line.</param>
    /// <param name="scratch"><see cref="ScratchBytes"/>.</param>
    /// <param name="zeroPoint">Of the image's u8 codes: what pads have.</param>
    /// <param name="first">First pixel that is written, at its place in the line.</param>
    /// <param name="end">After the last.</param>
    public void CopyLine(byte* image, int line, byte* to, byte* scratch, int zeroPoint, int first = 0, int end = int.MaxValue)
    {
        int d = (line / _padded.Height) - shape.Pads.Depth, h = (line % _padded.Height) - shape.Pads.Height;
        bool outside = d < 0 || d >= shape.Input.Depth || h < 0 || h >= shape.Input.Height;
        end = Math.Min(end, _padded.Width);
        // Pixels of the line that are the image's.
        int inside = Math.Clamp(shape.Pads.Width, first, end), outsideFrom = outside ? inside : Math.Clamp(shape.Pads.Width + shape.Input.Width, inside, end);
        Fill(to + (first * PixelBytes), inside - first, zeroPoint);
        Fill(to + (outsideFrom * PixelBytes), end - outsideFrom, zeroPoint);
        if (outsideFrom > inside) CopyPixels(image, ((((long)d * shape.Input.Height) + h) * shape.Input.Width) + inside - shape.Pads.Width, outsideFrom - inside, to + (inside * PixelBytes), scratch);
    }

    /// <summary>Pads have the zero point, in the form of the kernel.</summary>
    private void Fill(byte* to, int pixels, int zero)
    {
        int elements = pixels * pixelStride;
        if (form == ActivationForm.Words) new Span<short>(to, elements).Fill((short)zero);
        else new Span<byte>(to, elements).Fill((byte)(form == ActivationForm.SignedBytes ? zero ^ 0x80 : zero));
    }

    private void CopyPixels(byte* image, long at, int pixels, byte* to, byte* scratch)
    {
        int channels = shape.Channels;
        byte* codes;
        bool direct = form == ActivationForm.Bytes;
        if (source.Form is PixelForm.FloatChannelsFirst or PixelForm.CodesChannelsFirst)
        {
            long plane = (long)shape.Input.Depth * shape.Input.Height * shape.Input.Width;
            byte* rows = image + at;
            if (channels == 1 && pixelStride == 1 && direct && source.Form == PixelForm.FloatChannelsFirst)
            {
                Quantizer.Quantize(new ReadOnlySpan<float>((float*)image + at, pixels), source.Parameters, new Span<byte>(to, pixels));
                return;
            }
            if (source.Form == PixelForm.FloatChannelsFirst)
            {
                rows = scratch;
                for (int c = 0; c < channels; c++)
                    Quantizer.Quantize(new ReadOnlySpan<float>((float*)image + (c * plane) + at, pixels), source.Parameters, new Span<byte>(rows + ((long)c * pixels), pixels));
                plane = pixels;
            }
            codes = direct ? to : scratch + AlignedBuffer.Align((long)channels * pixels);
            ByteTranspose.Run(rows, channels, pixels, plane, codes, pixelStride);
            if (!direct) ActivationRows.CopyRun(form, codes, (long)pixels * pixelStride, to);
            return;
        }
        codes = image + (at * channels);
        if (pixelStride == channels) CopyRun(codes, (long)pixels * channels, to);
        else
            for (int x = 0; x < pixels; x++) CopyRun(codes + ((long)x * channels), channels, to + (x * PixelBytes));
    }

    private void CopyRun(byte* codes, long elements, byte* to)
    {
        if (source.Form == PixelForm.Codes) ActivationRows.CopyRun(form, codes, elements, to);
        else ActivationRows.CopySignedRun(form, codes, elements, to);
    }
}
