using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>What the two INT8 linear operators share: shapes and constants.</summary>
internal static class LinearShape
{
    /// <summary>Shape of y = x [..., K] · w, and the checks of weights and scales.</summary>
    public static TensorShape? Infer(OpContext context)
    {
        var weights = context.Input(1, ElementType.Int8);
        if (weights.Shape is not { Rank: 2, IsKnown: true } w) throw context.Malformed($"the weights have shape {weights.Shape}, expected a known matrix");
        bool transposed = IsTransposed(context);
        Dimension k = w[transposed ? 1 : 0], n = w[transposed ? 0 : 1];
        if (context.Input(2, ElementType.Float).Shape is { IsKnown: true } scales && scales.ElementCount != 1 && scales.ElementCount != n.Value)
            throw context.Malformed($"{scales.ElementCount} weight scales do not fit {n} columns");
        if (context.Input(0).Shape is not { } x) return null;
        if (x.Rank == 0 || x[x.Rank - 1].IsKnown && x[x.Rank - 1] != k) throw context.Malformed($"input {x} does not fit weights for {k} elements");
        var dims = x.Dims.ToArray();
        dims[^1] = n;
        return new(dims);
    }

    public static bool IsTransposed(OpContext context) => context.Attribute("transB", 0L) != 0;

    public static (int K, int N) Extents(PrepareContext context)
    {
        int[] dims = Weights(context).Dims;
        return IsTransposed(context) ? (dims[1], dims[0]) : (dims[0], dims[1]);
    }

    public static Tensor Weights(PrepareContext context) => context.Constant(1) ?? throw context.Malformed("the weights must be constant");

    /// <summary>n scales.</summary>
    public static float[] Scales(PrepareContext context, int n)
    {
        var scales = (context.Constant(2) ?? throw context.Malformed("the weight scales must be constant")).Span<float>();
        return scales.Length == 1 ? Enumerable.Repeat(scales[0], n).ToArray() : scales.ToArray();
    }

    public static ReadOnlySpan<T> Bias<T>(PrepareContext context) where T : unmanaged => context.Constant(3) is { } bias ? bias.Span<T>() : default;

    /// <summary>Rows of x: all axes but the last.</summary>
    public static int Rows(TensorLayout x) => x.CountOf(0, x.Rank - 1);
}
