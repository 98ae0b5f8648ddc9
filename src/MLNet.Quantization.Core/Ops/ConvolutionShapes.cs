using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>Shapes of convolutions as the standard has them, channels first.</summary>
internal static class ConvolutionShapes
{
    /// <summary>The output's shape, as far as it is known.</summary>
    /// <param name="context">The node.</param>
    /// <param name="input">x [N, C, ...].</param>
    /// <param name="weights">w [F, C / group, ...].</param>
    /// <param name="bias">[F], or null where there is none.</param>
    public static TensorShape? Infer(OpContext context, TensorShape? input, TensorShape? weights, TensorShape? bias)
    {
        if (weights is not { } w) return input is { } open ? new([.. Enumerable.Repeat(Dimension.Unknown, open.Rank)]) : null;
        if (w.Rank < 3) throw context.Malformed($"the weights have shape {w}, expected [outputs, channels of a group, kernel...]");
        if (input is { } known && known.Rank != w.Rank) throw context.Malformed($"input {input} and weights {w} differ in rank");
        CheckChannels(context, input?[1] ?? Dimension.Unknown, w, bias);
        if (input is not { } x) return null;
        var dims = new Dimension[x.Rank];
        Array.Fill(dims, Dimension.Unknown);
        (dims[0], dims[1]) = (x[0], w[0]);
        if (KernelOf(w) is { } kernel)
        {
            var window = Window.Read(context, kernel.Length, kernel);
            for (int i = 2; i < dims.Length; i++) dims[i] = window.Output(i - 2, x[i]);
        }
        return new(dims);
    }

    /// <summary>All extents of a convolution over known shapes.</summary>
    /// <param name="context">The node.</param>
    /// <param name="x">[N, C, ...].</param>
    /// <param name="w">[F, C / group, ...].</param>
    public static ConvolutionShape Resolve(OpContext context, ReadOnlySpan<int> x, ReadOnlySpan<int> w)
    {
        var window = Window.Read(context, w.Length - 2, w[2..].ToArray());
        int[] pads = new int[window.Rank], output = new int[window.Rank];
        for (int i = 0; i < output.Length; i++) (pads[i], _, output[i]) = window.Resolve(i, x[i + 2]);
        return new(
            x[0], x[1], w[0], checked((int)context.Attribute("group", 1L)), Extents.Of(x[2..]), Extents.Of(window.Kernel), Extents.Of(window.Strides), Extents.Of(window.Dilations),
            Extents.Of(pads, 0), Extents.Of(output));
    }

    private static int[]? KernelOf(TensorShape w)
    {
        var kernel = new int[w.Rank - 2];
        for (int i = 0; i < kernel.Length; i++)
        {
            if (!w[i + 2].IsKnown) return null;
            kernel[i] = checked((int)w[i + 2].Value);
        }
        return kernel;
    }

    private static void CheckChannels(OpContext context, Dimension channels, TensorShape w, TensorShape? bias)
    {
        long groups = context.Attribute("group", 1L);
        if (groups is < 1 or > int.MaxValue) throw context.Malformed($"group is {groups}");
        if (w[0].IsKnown && w[0].Value % groups != 0) throw context.Malformed($"{w[0]} outputs do not fall into {groups} groups");
        if (channels.IsKnown && w[1].IsKnown && channels.Value != w[1].Value * groups)
            throw context.Malformed($"the input has {channels} channels, expected {w[1].Value * groups}: weights {w} in {groups} groups");
        if (bias is { IsKnown: true } && w[0].IsKnown && !(bias.Rank == 1 && bias[0] == w[0])) throw context.Malformed($"the bias has shape {bias}, expected [{w[0]}]");
    }
}
