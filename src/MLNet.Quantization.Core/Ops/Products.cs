using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>Matrix products while training: float32 through the packed kernels, double by the definition.</summary>
internal static class Products
{
    /// <summary>Slot of <see cref="TapeMemory"/> for a turned A, then for the product where it is added.</summary>
    private const int Turned = 0, Packed = 1, Sum = 2;

    /// <summary>C = A' · B', or C += A' · B'; A' [m, k] is A or its transpose, B' [k, n] is B or its transpose.</summary>
    /// <param name="a">[m, k], or [k, m] where <paramref name="transA"/>.</param>
    /// <param name="transA">A is stored transposed.</param>
    /// <param name="b">[k, n], or [n, k] where <paramref name="transB"/>.</param>
    /// <param name="transB">B is stored transposed.</param>
    /// <param name="m">0 or more.</param>
    /// <param name="k">0 or more.</param>
    /// <param name="n">0 or more.</param>
    /// <param name="c">[m, n].</param>
    /// <param name="add">Adds to C; else C is overwritten.</param>
    /// <param name="memory">Slots 0 to 2 are used.</param>
    public static void Multiply<T>(ReadOnlySpan<T> a, bool transA, ReadOnlySpan<T> b, bool transB, int m, int k, int n, Span<T> c, bool add, TapeMemory memory)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (typeof(T) == typeof(float)) MultiplySingles(As(a), transA, As(b), transB, m, k, n, As(c), add, memory);
        else MultiplyPlainly(a, transA, b, transB, m, k, n, c, add);
    }

    private static ReadOnlySpan<float> As<T>(ReadOnlySpan<T> values) where T : unmanaged => MemoryMarshal.Cast<T, float>(values);

    private static Span<float> As<T>(Span<T> values) where T : unmanaged => MemoryMarshal.Cast<T, float>(values);

    private static void MultiplySingles(
        ReadOnlySpan<float> a, bool transA, ReadOnlySpan<float> b, bool transB, int m, int k, int n, Span<float> c, bool add, TapeMemory memory)
    {
        if (transA)
        {
            var turned = memory.Take<float>(Turned, (long)m * k);
            Transpose(a, k, m, turned);
            a = turned;
        }
        var product = add ? memory.Take<float>(Sum, (long)m * n) : c;
        var workspace = memory.Take<byte>(Packed, FloatGemm.WorkspaceBytes(k, n));
        FloatGemm.MultiplyUnpacked(a, m, b, k, n, transB, default, product, workspace, memory.MaxThreads);
        if (add) Elementwise.Combine<AddFunction>(c[..product.Length], product, c[..product.Length]);
    }

    /// <param name="x">[rows, columns].</param>
    /// <param name="rows">Rows of x.</param>
    /// <param name="columns">Columns of x.</param>
    /// <param name="y">[columns, rows].</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transpose(ReadOnlySpan<float> x, int rows, int columns, Span<float> y)
    {
        // Squares of this side stay in the first-level cache on both sides.
        const int Side = 16;
        for (int i = 0; i < rows; i += Side)
            for (int j = 0; j < columns; j += Side)
            {
                int lastRow = Math.Min(rows, i + Side), lastColumn = Math.Min(columns, j + Side);
                for (int column = j; column < lastColumn; column++)
                    for (int row = i; row < lastRow; row++) y[(column * rows) + row] = x[(row * columns) + column];
            }
    }

    private static void MultiplyPlainly<T>(ReadOnlySpan<T> a, bool transA, ReadOnlySpan<T> b, bool transB, int m, int k, int n, Span<T> c, bool add)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++)
            {
                T sum = T.Zero;
                for (int l = 0; l < k; l++) sum += a[transA ? (l * m) + i : (i * k) + l] * b[transB ? (j * k) + l : (l * n) + j];
                c[(i * n) + j] = add ? c[(i * n) + j] + sum : sum;
            }
    }
}
