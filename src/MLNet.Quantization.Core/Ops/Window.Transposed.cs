using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>The window of a ConvTranspose: each element of the input spreads over a window of the output.</summary>
internal sealed partial class Window
{
    /// <summary>The extent of a transposed convolution's output along a spatial axis; unknown where the input's is and matters.</summary>
    public Dimension TransposedOutput(int axis, Dimension input) =>
        input.IsKnown ? ResolveTransposed(axis, Extent(axis, input)).Output
        : OutputShape() is { } given ? given[axis] : Dimension.Unknown;

    /// <summary>What is cut off before the first element of the full output, and the extent of what is kept, along a spatial axis of a known extent.</summary>
    /// <exception cref="ModelFormatException">Nothing is kept, or more than an axis can have.</exception>
    public (int Before, int Output) ResolveTransposed(int axis, int input)
    {
        long stride = Strides[axis], reach = ((Kernel[axis] - 1L) * Dilations[axis]) + 1, added = Values("output_padding", Rank, 0)[axis];
        if (added < 0) throw _context.Malformed($"output_padding {added} is negative");
        long full = input == 0 ? added : (stride * (input - 1L)) + reach + added, before = _pads[axis], output = full - before - _pads[axis + Rank];
        if (OutputShape() is { } given || _autoPad is "SAME_UPPER" or "SAME_LOWER")
        {
            output = OutputShape() is { } shape ? shape[axis] : input * stride;
            long cut = Math.Max(0, full - output);
            before = _autoPad == "SAME_UPPER" ? cut / 2 : cut - (cut / 2);
        }
        else if (_autoPad == "VALID")
        {
            (before, output) = (0, full);
        }
        if (output < 0 || output == 0 && input > 0) throw _context.Malformed($"of {full} elements along spatial axis {axis} the pads leave {output}");
        if (before > MostExtent) throw _context.Malformed($"of {full} elements along spatial axis {axis}, {before} before the first are cut off; supported are up to {MostExtent}");
        return output <= MostExtent ? ((int)before, (int)output) : throw _context.Malformed($"the output has {output} elements along spatial axis {axis}");
    }

    /// <summary>Attribute output_shape; null where it is not there. Some files give batch and channels too.</summary>
    private long[]? OutputShape()
    {
        var given = _context.Attribute("output_shape", ImmutableArray<long>.Empty);
        if (given.IsEmpty) return null;
        if (given.Length != Rank && given.Length != Rank + 2) throw _context.Malformed($"output_shape has {given.Length} elements, expected {Rank}");
        long[] shape = [.. given.TakeLast(Rank)];
        return shape.All(s => s is >= 0 and <= int.MaxValue) ? shape : throw _context.Malformed($"output_shape [{string.Join(',', shape)}] has elements that are no extents");
    }
}
