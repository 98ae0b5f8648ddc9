using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// The window of a convolution or pooling node: kernel, strides, dilations and padding of each spatial axis, resolved against the
/// extents of an input. ONNX: Conv, ConvTranspose, MaxPool, AveragePool, LpPool.
/// </summary>
internal sealed partial class Window
{
    private const int MostAxes = 3;

    /// <summary>Of an axis, and of what is added to it, so that both together fit int.</summary>
    private const int MostExtent = int.MaxValue / 2;

    private readonly OpContext _context;
    private readonly string _autoPad;
    private readonly long[] _pads;
    private readonly bool _ceil;

    private Window(OpContext context, int[] kernel)
    {
        _context = context;
        Kernel = kernel;
        Strides = Positive("strides");
        Dilations = Positive("dilations");
        _autoPad = context.Attribute("auto_pad", "NOTSET");
        if (_autoPad is not ("NOTSET" or "SAME_UPPER" or "SAME_LOWER" or "VALID")) throw context.Malformed($"auto_pad is '{_autoPad}', expected NOTSET, SAME_UPPER, SAME_LOWER or VALID");
        _pads = Values("pads", 2 * Rank, 0);
        _ceil = context.Attribute("ceil_mode", 0L) != 0;
    }

    /// <summary>Spatial axes.</summary>
    public int Rank => Kernel.Length;

    public int[] Kernel { get; }

    public int[] Strides { get; }

    public int[] Dilations { get; }

    /// <summary>Reads the attributes of a node.</summary>
    /// <param name="context">The node.</param>
    /// <param name="rank">Spatial axes of its input.</param>
    /// <param name="kernel">Extents that the weights give; null for pooling, whose kernel_shape must be there.</param>
    public static Window Read(OpContext context, int rank, int[]? kernel = null)
    {
        if (rank is < 1 or > MostAxes) throw context.Unsupported($"its input has {rank} spatial axes, supported are 1 to {MostAxes}");
        var given = context.Attribute("kernel_shape", ImmutableArray<long>.Empty);
        if (given.IsEmpty && kernel is null) throw context.Malformed("it has no kernel_shape");
        int[] shape = kernel ?? [.. given.Select(g => (int)Math.Clamp(g, 0, int.MaxValue))];
        if (!given.IsEmpty && !given.Select(g => (long)g).SequenceEqual(shape.Select(k => (long)k)))
            throw context.Malformed($"kernel_shape [{string.Join(',', given)}] is not that of its weights, [{string.Join(',', shape)}]");
        if (shape.Length != rank) throw context.Malformed($"a kernel over {shape.Length} axes does not fit an input with {rank} spatial axes");
        if (shape.Any(k => k < 1)) throw context.Malformed($"kernel_shape [{string.Join(',', shape)}] has an extent below 1");
        return new(context, shape);
    }

    /// <summary>The output's extent along a spatial axis; unknown where the input's is.</summary>
    public Dimension Output(int axis, Dimension input)
    {
        if (input.IsKnown) return Resolve(axis, Extent(axis, input)).Output;
        // A window of one element that moves by one keeps any extent.
        return Kernel[axis] == 1 && Strides[axis] == 1 && _pads[axis] == 0 && _pads[axis + Rank] == 0 ? input : Dimension.Unknown;
    }

    private int Extent(int axis, Dimension input) =>
        input.Value <= MostExtent ? (int)input.Value : throw _context.Unsupported($"spatial axis {axis} of its input has {input} elements, supported are up to {MostExtent}");

    /// <summary>Padding before and after, and the output's extent, along a spatial axis of a known extent.</summary>
    /// <exception cref="ModelFormatException">The window is larger than the padded input.</exception>
    public (int Before, int After, int Output) Resolve(int axis, int input)
    {
        long reach = ((Kernel[axis] - 1L) * Dilations[axis]) + 1, stride = Strides[axis], before = _pads[axis], after = _pads[axis + Rank], output;
        if (_autoPad is "SAME_UPPER" or "SAME_LOWER")
        {
            output = (input + stride - 1) / stride;
            long total = Math.Max(0, ((output - 1) * stride) + reach - input);
            if (total > MostExtent) throw _context.Malformed($"its window reaches over {reach} elements of spatial axis {axis}, for which {_autoPad} would add {total}; supported are up to {MostExtent}");
            before = _autoPad == "SAME_UPPER" ? total / 2 : total - (total / 2);
            return ((int)before, (int)(total - before), (int)output);
        }
        if (_autoPad == "VALID") (before, after) = (0, 0);
        long room = input + before + after - reach;
        if (room < 0) throw _context.Malformed($"its window reaches over {reach} elements of spatial axis {axis}, the padded input has {input + before + after}");
        output = ((room + (_ceil ? stride - 1 : 0)) / stride) + 1;
        // A window that would start in the padding behind the input does not exist.
        if (_ceil && (output - 1) * stride >= input + before) output--;
        return ((int)before, (int)after, checked((int)output));
    }

    private int[] Positive(string name)
    {
        long[] values = Values(name, Rank, 1);
        return values.All(v => v is > 0 and <= int.MaxValue) ? Array.ConvertAll(values, v => (int)v) : throw _context.Malformed($"{name} [{string.Join(',', values)}] has an element below 1");
    }

    private long[] Values(string name, int count, long absent)
    {
        var given = _context.Attribute(name, ImmutableArray<long>.Empty);
        if (given.IsEmpty) return [.. Enumerable.Repeat(absent, count)];
        if (given.Length != count) throw _context.Malformed($"{name} has {given.Length} elements, expected {count} for {Rank} spatial axes");
        if (given.Any(g => g is < -(int.MaxValue / 4) or > int.MaxValue / 4)) throw _context.Malformed($"{name} [{string.Join(',', given)}] is too large");
        return name == "pads" && given.Any(g => g < 0) ? throw _context.Unsupported($"pads [{string.Join(',', given)}] are negative, supported are 0 and more") : [.. given];
    }
}
