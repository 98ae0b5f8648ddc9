namespace MLNet.Quantization.Kernels;

/// <summary>The kernels of the INT8 matrix product, and the packing of weights for them.</summary>
internal static class Int8Gemm
{
    /// <summary>The kernels that this process can run, best first.</summary>
    public static IReadOnlyList<Int8Kernel> Kernels { get; } = [new("scalar")];

    /// <summary>The kernel that is used where none is asked for.</summary>
    public static Int8Kernel Best => Kernels[0];

    /// <summary>Packs s8 weight codes.</summary>
    /// <param name="weights">[k, n] row-major, or [n, k] where <paramref name="transposed"/>.</param>
    /// <param name="k">0 or more.</param>
    /// <param name="n">0 or more.</param>
    /// <param name="transposed">True where the weights of one output column lie together.</param>
    /// <param name="kernel">Null: <see cref="Best"/>.</param>
    /// <exception cref="ArgumentException">The span does not hold k · n codes.</exception>
    public static Int8Weights Pack(ReadOnlySpan<sbyte> weights, int k, int n, bool transposed, Int8Kernel? kernel = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(k);
        ArgumentOutOfRangeException.ThrowIfNegative(n);
        if (weights.Length != (long)k * n) throw new ArgumentException($"{weights.Length} weights do not fill [{k}, {n}].", nameof(weights));
        var codes = new sbyte[weights.Length];
        for (int l = 0; l < k; l++)
            for (int j = 0; j < n; j++)
                codes[l * n + j] = weights[transposed ? j * k + l : l * n + j];
        return new(kernel ?? Best, codes, k, n);
    }
}
