using System.Numerics;

namespace MLNet.Quantization.Ops;

// ∂L/∂A = G · Bᵀ and ∂L/∂B = Aᵀ · G, matrix by matrix; a matrix that several products read gets the sum.
internal sealed partial class MatMul : IDifferentiable
{
    /// <param name="M">Rows of a matrix of A.</param>
    /// <param name="K">Its columns.</param>
    /// <param name="N">Columns of a matrix of B.</param>
    /// <param name="A">For each product the matrix of A.</param>
    /// <param name="B">For each product the matrix of B.</param>
    private sealed record Form(int M, int K, int N, int[] A, int[] B);

    public ReadOnlySpan<int> LearnedInputs => [1];

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var f = FormOf(node);
        for (int i = 0; i < f.A.Length; i++)
            Products.Multiply<T>(
                node.Input(0).Data.AsSpan(f.A[i] * f.M * f.K, f.M * f.K), false, node.Input(1).Data.AsSpan(f.B[i] * f.K * f.N, f.K * f.N), false, f.M, f.K, f.N,
                node.Output().Data.AsSpan(i * f.M * f.N, f.M * f.N), add: false, node.Memory);
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var f = FormOf(node);
        for (int i = 0; i < f.A.Length; i++)
        {
            ReadOnlySpan<T> g = node.OutputGradient().Data.AsSpan(i * f.M * f.N, f.M * f.N);
            if (node.InputGradient(0) is { } a)
                Products.Multiply(g, false, node.Input(1).Data.AsSpan(f.B[i] * f.K * f.N, f.K * f.N), true, f.M, f.N, f.K, a.Data.AsSpan(f.A[i] * f.M * f.K, f.M * f.K), add: true, node.Memory);
            if (node.InputGradient(1) is { } b)
                Products.Multiply(node.Input(0).Data.AsSpan(f.A[i] * f.M * f.K, f.M * f.K), true, g, false, f.K, f.M, f.N, b.Data.AsSpan(f.B[i] * f.K * f.N, f.K * f.N), add: true, node.Memory);
        }
    }

    private static Form FormOf<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.State is Form known) return known;
        int[] a = node.Input(0).Dims, b = node.Input(1).Dims;
        if (a.Length == 1) a = [1, .. a];
        if (b.Length == 1) b = [.. b, 1];
        int m = a[^2], k = a[^1], n = b[^1];
        // Weights are one matrix for all rows of a stack: one product.
        var form = b.Length == 2 ? new Form(k == 0 ? 0 : node.Input(0).Count / k, k, n, [0], [0]) : Stacked(a, b, m, k, n);
        node.State = form;
        return form;
    }

    private static Form Stacked(int[] a, int[] b, int m, int k, int n)
    {
        int rank = Math.Max(a.Length, b.Length) - 2;
        var stack = new int[rank];
        int[] aStrides = BroadcastPlan.Strides(a.AsSpan(0, a.Length - 2), rank), bStrides = BroadcastPlan.Strides(b.AsSpan(0, b.Length - 2), rank);
        for (int i = 0; i < rank; i++) stack[i] = Math.Max(i < rank - (a.Length - 2) ? 1 : a[i - rank + a.Length - 2], i < rank - (b.Length - 2) ? 1 : b[i - rank + b.Length - 2]);
        int count = stack.Aggregate(1, (x, y) => x * y);
        int[] ofA = new int[count], ofB = new int[count];
        for (int i = 0; i < count; i++)
            for (int axis = rank - 1, rest = i; axis >= 0; axis--)
            {
                (rest, int at) = Math.DivRem(rest, stack[axis]);
                ofA[i] += at * aStrides[axis];
                ofB[i] += at * bStrides[axis];
            }
        return new(m, k, n, ofA, ofB);
    }
}
