using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>Shapes of pooling over [N, C, ...].</summary>
/// <param name="Planes">N · C.</param>
/// <param name="Input">Spatial extents of the input.</param>
/// <param name="Window">Of the kernel.</param>
/// <param name="Strides">Steps of the window.</param>
/// <param name="Dilations">Distances of its elements.</param>
/// <param name="Before">Padding before.</param>
/// <param name="Output">Spatial extents of the output.</param>
internal sealed record PoolShape(int Planes, Extents Input, Extents Window, Extents Strides, Extents Dilations, Extents Before, Extents Output)
{
    /// <summary>The output's shape, as far as the input's is known.</summary>
    public static TensorShape? Infer(OpContext context) => context.Input(0).Shape is { } x ? Infer(context, x) : null;

    /// <param name="context">The node.</param>
    /// <param name="x">[N, C, ...].</param>
    public static TensorShape Infer(OpContext context, TensorShape x)
    {
        if (x.Rank < 3) throw context.Malformed($"its input has shape {x}, expected [N, C, ...]");
        var window = Ops.Window.Read(context, x.Rank - 2);
        var dims = x.Dims.ToArray();
        for (int i = 2; i < dims.Length; i++) dims[i] = window.Output(i - 2, x[i]);
        return new(dims);
    }

    public static PoolShape Resolve(OpContext context, ReadOnlySpan<int> x)
    {
        var window = Ops.Window.Read(context, x.Length - 2);
        int[] before = new int[window.Rank], output = new int[window.Rank];
        for (int i = 0; i < output.Length; i++) (before[i], _, output[i]) = window.Resolve(i, x[i + 2]);
        return new(
            x[0] * x[1], Extents.Of(x[2..]), Extents.Of(window.Kernel), Extents.Of(window.Strides), Extents.Of(window.Dilations), Extents.Of(before, 0), Extents.Of(output));
    }

    /// <summary>The elements of an axis that the window at output <paramref name="o"/> reads: from First in steps of the dilation, Count of them.</summary>
    public static (int First, int Count) Inside(int o, int stride, int window, int dilation, int before, int input)
    {
        int start = (o * stride) - before, skipped = start < 0 ? (-start + dilation - 1) / dilation : 0;
        int first = start + (skipped * dilation);
        return (first, first >= input ? 0 : Math.Max(0, Math.Min(window - skipped, ((input - 1 - first) / dilation) + 1)));
    }
}
