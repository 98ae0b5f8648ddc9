using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>The matrices of A [..., M, K] and B [..., K, N] that are multiplied with each other, by the rules of NumPy's matmul. Immutable.</summary>
internal sealed class MatrixStacks
{
    private readonly BroadcastPlan _plan;

    /// <param name="a">Extents of A; one axis is a row.</param>
    /// <param name="b">Extents of B; one axis is a column.</param>
    public MatrixStacks(int[] a, int[] b)
    {
        if (a.Length == 1) a = [1, a[0]];
        if (b.Length == 1) b = [b[0], 1];
        (M, K, N) = (a[^2], a[^1], b[^1]);
        int[] outerA = a[..^2], outerB = b[..^2];
        var outer = new int[Math.Max(outerA.Length, outerB.Length)];
        for (int i = 1; i <= outer.Length; i++)
        {
            int x = i <= outerA.Length ? outerA[^i] : 1, y = i <= outerB.Length ? outerB[^i] : 1;
            outer[^i] = x == 1 ? y : x;
        }
        _plan = new(outerA, outerB, outer);
        Count = _plan.Runs * _plan.RunLength;
    }

    public int M { get; }

    public int K { get; }

    public int N { get; }

    /// <summary>Products of two matrices.</summary>
    public int Count { get; }

    /// <summary>Where the matrices of product <paramref name="index"/> start, in elements.</summary>
    public (int A, int B) StartOf(int index)
    {
        var (run, at) = Math.DivRem(index, _plan.RunLength);
        var (a, b) = _plan.StartOf(run);
        return ((a + (_plan.AMoves ? at : 0)) * M * K, (b + (_plan.BMoves ? at : 0)) * K * N);
    }

    /// <summary>The product's shape; null where a rank is not known.</summary>
    public static TensorShape? Infer(OpContext context, TensorShape? a, TensorShape? b)
    {
        if (a is null || b is null) return null;
        if (a.Rank == 0 || b.Rank == 0) throw context.Malformed($"shapes {a} and {b} cannot be multiplied: a scalar is no matrix");
        Dimension ka = a[a.Rank - 1], kb = b[Math.Max(0, b.Rank - 2)];
        if (ka.IsKnown && kb.IsKnown && ka != kb) throw context.Malformed($"shapes {a} and {b} do not fit: the product runs over {ka} and {kb} elements");
        var outer = ShapeRules.Broadcast(context, new(a.Dims[..Math.Max(0, a.Rank - 2)]), new(b.Dims[..Math.Max(0, b.Rank - 2)]))!;
        var dims = outer.Dims.ToArray().ToList();
        if (a.Rank > 1) dims.Add(a[a.Rank - 2]);
        if (b.Rank > 1) dims.Add(b[b.Rank - 1]);
        return new(dims.ToArray());
    }
}
