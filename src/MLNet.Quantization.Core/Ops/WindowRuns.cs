using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// The windows over one plane as the columns of a matrix, [taps, output pixels], there and back: for each tap and line of the output, the run of
/// pixels that lie within the plane. Immutable.
/// </summary>
internal sealed class WindowRuns
{
    private readonly (int From, int To, int Count)[] _runs;
    private readonly int _stride;

    public WindowRuns(Extents input, Extents window, Extents strides, Extents dilations, Extents pads, Extents output)
    {
        Plane = input.Count;
        Taps = window.Count;
        Pixels = output.Count;
        _stride = strides.Width;
        var runs = new List<(int, int, int)>();
        for (int tap = 0; tap < Taps; tap++)
        {
            int td = tap / (window.Height * window.Width), th = tap / window.Width % window.Height, start = (tap % window.Width * dilations.Width) - pads.Width;
            int first = start >= 0 ? 0 : (-start + _stride - 1) / _stride, end = Math.Min(output.Width, start >= input.Width ? 0 : ((input.Width - 1 - start) / _stride) + 1);
            for (int line = 0; line < output.Depth * output.Height; line++)
            {
                int d = (line / output.Height * strides.Depth) + (td * dilations.Depth) - pads.Depth, h = (line % output.Height * strides.Height) + (th * dilations.Height) - pads.Height;
                if (d < 0 || d >= input.Depth || h < 0 || h >= input.Height || end <= first) continue;
                runs.Add(((((d * input.Height) + h) * input.Width) + start + (first * _stride), (((tap * output.Depth * output.Height) + line) * output.Width) + first, end - first));
            }
        }
        _runs = [.. runs];
        IsWhole = Taps == 1 && Plane == Pixels && _runs.Sum(r => r.Count) == Plane && _stride == 1;
    }

    public static WindowRuns Of(ConvolutionShape s) => new(s.Input, s.Window, s.Strides, s.Dilations, s.Pads, s.Output);

    public static WindowRuns Of(PoolShape s) => new(s.Input, s.Window, s.Strides, s.Dilations, s.Before, s.Output);

    /// <summary>Elements of a plane.</summary>
    public int Plane { get; }

    public int Taps { get; }

    /// <summary>Of the output.</summary>
    public int Pixels { get; }

    /// <summary>True where the columns are the plane itself.</summary>
    public bool IsWhole { get; }

    /// <param name="plane">Read.</param>
    /// <param name="columns">[taps, pixels]; what would be read outside the plane is left as it is.</param>
    public void Unfold<T>(ReadOnlySpan<T> plane, Span<T> columns) where T : unmanaged
    {
        foreach (var (from, to, count) in _runs)
        {
            if (_stride == 1)
            {
                plane.Slice(from, count).CopyTo(columns[to..]);
                continue;
            }
            int i = _stride == 2 && Unsafe.SizeOf<T>() == sizeof(uint) ? TakeEven(MemoryMarshal.Cast<T, uint>(plane[from..]), MemoryMarshal.Cast<T, uint>(columns.Slice(to, count))) : 0;
            for (; i < count; i++) columns[to + i] = plane[from + (i * _stride)];
        }
    }

    /// <summary>Adds each element of the columns to the pixel that it is read from.</summary>
    public void Fold<T>(ReadOnlySpan<T> columns, Span<T> plane) where T : unmanaged, IFloatingPointIeee754<T>
    {
        foreach (var (from, to, count) in _runs)
            if (_stride == 1) Vectors.Add(columns.Slice(to, count), plane.Slice(from, count));
            else
                for (int i = 0; i < count; i++) plane[from + (i * _stride)] += columns[to + i];
    }

    /// <summary>Every second number: the lower half of each pair.</summary>
    /// <returns>How many were taken; the rest is not a whole vector.</returns>
    private static int TakeEven(ReadOnlySpan<uint> x, Span<uint> y)
    {
        int i = 0, width = Vector<ulong>.Count;
        for (; i <= y.Length - (2 * width) && (2 * i) + (4 * width) <= x.Length; i += 2 * width)
        {
            var pairs = MemoryMarshal.Cast<uint, ulong>(x.Slice(2 * i, 4 * width));
            Vector.Narrow(new Vector<ulong>(pairs), new Vector<ulong>(pairs[width..])).CopyTo(y[i..]);
        }
        return i;
    }

    /// <summary>For each element of the columns the pixel that it is read from, or -1.</summary>
    public int[] Pixel()
    {
        var pixels = new int[Taps * Pixels];
        Array.Fill(pixels, -1);
        foreach (var (from, to, count) in _runs)
            for (int i = 0; i < count; i++) pixels[to + i] = from + (i * _stride);
        return pixels;
    }
}
