using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>Shapes of transposed convolutions as the standard has them, channels first.</summary>
internal static class TransposedShapes
{
    /// <summary>The output's shape, as far as it is known.</summary>
    /// <param name="context">The node.</param>
    /// <param name="x">[N, C, ...].</param>
    /// <param name="w">[C, F / group, ...].</param>
    /// <param name="bias">[F], or null where there is none.</param>
    public static TensorShape? Infer(OpContext context, TensorShape? x, TensorShape? w, TensorShape? bias)
    {
        if (w is { Rank: < 3 }) throw context.Malformed($"the weights have shape {w}, expected [channels, outputs of a group, kernel...]");
        if (x is null || w is null)
        {
            if (w is not null) OutputsOf(context, Dimension.Unknown, w, bias);
            return (x ?? w) is { } either ? new(new Dimension[either.Rank]) : null;
        }
        if (x.Rank != w.Rank) throw context.Malformed($"input {x} and weights {w} differ in rank");
        var dims = new Dimension[x.Rank];
        (dims[0], dims[1]) = (x[0], OutputsOf(context, x[1], w, bias));
        if (w.Skip(2).All(d => d.IsKnown))
        {
            var window = Window.Read(context, x.Rank - 2, [.. w.Skip(2).Select(d => checked((int)d.Value))]);
            for (int i = 2; i < dims.Length; i++) dims[i] = window.TransposedOutput(i - 2, x[i]);
        }
        return new(dims);
    }

    /// <summary>What is cut off before the first output of each spatial axis, over known shapes.</summary>
    public static Extents Before(OpContext context, ReadOnlySpan<int> x, ReadOnlySpan<int> w)
    {
        var window = Window.Read(context, w.Length - 2, w[2..].ToArray());
        var before = new int[window.Rank];
        for (int i = 0; i < before.Length; i++) before[i] = window.ResolveTransposed(i, x[i + 2]).Before;
        return Extents.Of(before, 0);
    }

    private static Dimension OutputsOf(OpContext context, Dimension channels, TensorShape w, TensorShape? bias)
    {
        long groups = context.Attribute("group", 1L);
        if (groups is < 1 or > int.MaxValue) throw context.Malformed($"group is {groups}");
        if (channels.IsKnown && w[0].IsKnown && channels != w[0]) throw context.Malformed($"the input has {channels} channels, expected {w[0]}: weights {w}");
        if (w[0].IsKnown && w[0].Value % groups != 0) throw context.Malformed($"{w[0]} channels do not fall into {groups} groups");
        Dimension outputs = w[1].IsKnown ? checked(w[1].Value * groups) : Dimension.Unknown;
        if (bias is { IsKnown: true } && outputs.IsKnown && !(bias.Rank == 1 && bias[0] == outputs)) throw context.Malformed($"the bias has shape {bias}, expected [{outputs}]");
        return outputs;
    }
}
