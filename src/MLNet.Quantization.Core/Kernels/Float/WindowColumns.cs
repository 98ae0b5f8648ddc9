namespace MLNet.Quantization.Kernels;

/// <summary>The windows of a convolution as the columns of a matrix: row (channel, tap), column output pixel. Channels first, float32.</summary>
internal static class WindowColumns
{
    /// <summary>One row.</summary>
    /// <param name="shape">The extents.</param>
    /// <param name="image">Channels of one group of one image, [channels, depth, height, width].</param>
    /// <param name="row">Channel · taps + tap.</param>
    /// <param name="first">First output pixel.</param>
    /// <param name="to">One place an output pixel.</param>
    public static void FillRow(ConvolutionShape shape, ReadOnlySpan<float> image, int row, int first, Span<float> to)
    {
        int taps = shape.Window.Count, plane = shape.Input.Count, tap = row % taps;
        FillRow(
            shape, image.Slice(row / taps * plane, plane), tap / (shape.Window.Height * shape.Window.Width), tap / shape.Window.Width % shape.Window.Height, tap % shape.Window.Width, first, to);
    }

    /// <summary>One channel with its padding around it.</summary>
    /// <param name="s">The extents.</param>
    /// <param name="plane">[depth, height, width].</param>
    /// <param name="padded">The extents that the windows reach over.</param>
    public static void Pad(ConvolutionShape s, ReadOnlySpan<float> plane, Span<float> padded)
    {
        var extents = s.Padded;
        for (int line = 0; line < extents.Depth * extents.Height; line++)
        {
            int d = (line / extents.Height) - s.Pads.Depth, h = (line % extents.Height) - s.Pads.Height;
            var to = padded.Slice(line * extents.Width, extents.Width);
            if (d < 0 || d >= s.Input.Depth || h < 0 || h >= s.Input.Height) to.Clear();
            else FillLine(plane.Slice(((d * s.Input.Height) + h) * s.Input.Width, s.Input.Width), -s.Pads.Width, 1, to);
        }
    }

    /// <summary>The other way round: adds each element of the columns to the pixel that it would be read from, tap by tap.</summary>
    /// <param name="s">The extents.</param>
    /// <param name="columns">[taps, output pixels].</param>
    /// <param name="plane">[depth, height, width], one channel.</param>
    public static void Add(ConvolutionShape s, ReadOnlySpan<float> columns, Span<float> plane)
    {
        int width = s.Output.Width, lines = s.Output.Depth * s.Output.Height;
        for (int tap = 0; tap < s.Window.Count; tap++)
        {
            int td = tap / (s.Window.Height * s.Window.Width), th = tap / s.Window.Width % s.Window.Height;
            int start = (tap % s.Window.Width * s.Dilations.Width) - s.Pads.Width;
            for (int line = 0; line < lines; line++)
            {
                int d = (line / s.Output.Height * s.Strides.Depth) + (td * s.Dilations.Depth) - s.Pads.Depth;
                int h = (line % s.Output.Height * s.Strides.Height) + (th * s.Dilations.Height) - s.Pads.Height;
                if (d < 0 || d >= s.Input.Depth || h < 0 || h >= s.Input.Height) continue;
                AddLine(columns.Slice(((tap * lines) + line) * width, width), start, s.Strides.Width, plane.Slice(((d * s.Input.Height) + h) * s.Input.Width, s.Input.Width));
            }
        }
    }

    private static void AddLine(ReadOnlySpan<float> from, int start, int stride, Span<float> line)
    {
        int first = start >= 0 ? 0 : (-start + stride - 1) / stride, end = (int)Math.Min(from.Length, Math.Max(0, ((long)line.Length - start + stride - 1) / stride));
        if (first >= end) return;
        if (stride == 1)
        {
            var to = line.Slice(start + first, end - first);
            Elementwise.Combine<AddFunction>(from[first..end], to, to);
            return;
        }
        for (int i = first; i < end; i++) line[start + (i * stride)] += from[i];
    }

    private static void FillRow(ConvolutionShape s, ReadOnlySpan<float> plane, int td, int th, int tw, int first, Span<float> row)
    {
        for (int at = 0; at < row.Length;)
        {
            int pixel = first + at, x = pixel % s.Output.Width, line = pixel / s.Output.Width;
            int length = Math.Min(s.Output.Width - x, row.Length - at);
            int d = (line / s.Output.Height * s.Strides.Depth) + (td * s.Dilations.Depth) - s.Pads.Depth;
            int h = (line % s.Output.Height * s.Strides.Height) + (th * s.Dilations.Height) - s.Pads.Height;
            var to = row.Slice(at, length);
            if (d < 0 || d >= s.Input.Depth || h < 0 || h >= s.Input.Height) to.Clear();
            else FillLine(plane.Slice(((d * s.Input.Height) + h) * s.Input.Width, s.Input.Width), (x * s.Strides.Width) + (tw * s.Dilations.Width) - s.Pads.Width, s.Strides.Width, to);
            at += length;
        }
    }

    private static void FillLine(ReadOnlySpan<float> line, int start, int stride, Span<float> to)
    {
        if (stride == 1)
        {
            int before = Math.Clamp(-start, 0, to.Length), inside = Math.Clamp(line.Length - (start + before), 0, to.Length - before);
            to[..before].Clear();
            if (inside > 0) line.Slice(start + before, inside).CopyTo(to[before..]);
            to[(before + inside)..].Clear();
            return;
        }
        for (int i = 0; i < to.Length; i++)
        {
            int at = start + (i * stride);
            to[i] = (uint)at < (uint)line.Length ? line[at] : 0;
        }
    }
}
