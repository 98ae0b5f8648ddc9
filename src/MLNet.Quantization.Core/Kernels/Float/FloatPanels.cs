using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// Products of a B that a caller makes row by row, on the calling thread: as <see cref="FloatGemm"/> has them, one chain of fused
/// multiply-adds with k ascending from 0 for each element, but the rows of C may lie apart.
/// </summary>
internal static unsafe class FloatPanels
{
    /// <summary>Rows of A that pass over one panel before the next panel is loaded.</summary>
    private const int BlockRows = 16 * FloatGemm.TileRows;

    /// <summary>Puts a row of B [k, n] where <see cref="Multiply"/> looks for it.</summary>
    /// <param name="row">n.</param>
    /// <param name="l">Its number.</param>
    /// <param name="k">Rows of B.</param>
    /// <param name="n">Columns of B.</param>
    /// <param name="packed"><see cref="FloatGemm.PackedCount"/>.</param>
    /// <param name="tier">That of the product.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PutRow(float* row, int l, int k, int n, float* packed, FloatTier tier)
    {
        int width = FloatGemm.PanelWidth(tier), column = 0;
        float* to = packed + ((long)l * width);
        for (; column <= n - width; column += width, to += (long)k * width, row += width)
        {
            int i = 0;
            for (; i <= width - 8; i += 8) Vector256.Store(Vector256.Load(row + i), to + i);
            for (; i < width; i++) to[i] = row[i];
        }
        if (column == n) return;
        for (int i = 0; i < width; i++) to[i] = i < n - column ? row[i] : 0;
    }

    /// <param name="a">[m, k].</param>
    /// <param name="m">Rows.</param>
    /// <param name="k">Columns of A.</param>
    /// <param name="packed">All rows of B.</param>
    /// <param name="n">Columns of B.</param>
    /// <param name="c">m rows of n.</param>
    /// <param name="stride">From one row of C to the next.</param>
    /// <param name="tier">That B is packed for.</param>
    [SkipLocalsInit]
    public static void Multiply(float* a, int m, int k, float* packed, int n, float* c, int stride, FloatTier tier)
    {
        var tile = FloatTile.For(tier);
        int width = FloatGemm.PanelWidth(tier);
        FloatTile.Arguments t;
        t.K = k;
        t.N = stride;
        t.Bias = null;
        for (int block = 0; block < m; block += BlockRows)
            for (int column = 0; column < n; column += width)
            {
                t.B = packed + ((long)column * k);
                t.Columns = Math.Min(width, n - column);
                for (int r = block; r < Math.Min(m, block + BlockRows); r += FloatGemm.TileRows)
                {
                    t.Rows = Math.Min(FloatGemm.TileRows, Math.Min(m, block + BlockRows) - r);
                    t.A = a + ((long)r * k);
                    t.C = c + ((long)r * stride) + column;
                    tile(&t);
                }
            }
    }

    /// <summary>The product of one row of A with a B whose rows lie anywhere in memory, even over each other: pays where A has few rows.</summary>
    /// <param name="a">k.</param>
    /// <param name="b">Where B lies.</param>
    /// <param name="rows">For each of the k rows of B where it starts.</param>
    /// <param name="n">Columns of B.</param>
    /// <param name="c">n.</param>
    /// <param name="tier">The vector width.</param>
    public static void MultiplyRow(float* a, float* b, ReadOnlySpan<int> rows, int n, float* c, FloatTier tier)
    {
        fixed (int* starts = rows)
        {
            switch (tier.Lanes)
            {
                case 16: MultiplyRow<Lanes512, Vector512<float>, Vector512<int>>(a, b, starts, rows.Length, n, c); break;
                case 8: MultiplyRow<Lanes256, Vector256<float>, Vector256<int>>(a, b, starts, rows.Length, n, c); break;
                case 4: MultiplyRow<Lanes128, Vector128<float>, Vector128<int>>(a, b, starts, rows.Length, n, c); break;
                default: MultiplyRow<LanesScalar, float, int>(a, b, starts, rows.Length, n, c); break;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MultiplyRow<L, TFloats, TInts>(float* a, float* b, int* rows, int k, int n, float* c)
        where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        int i = 0;
        for (; i <= n - (2 * L.Count); i += 2 * L.Count)
        {
            TFloats s = L.Create(0f), u = s;
            for (int l = 0; l < k; l++)
            {
                float* from = b + rows[l] + i;
                var x = L.Create(a[l]);
                s = L.Fma(x, L.Load(from), s);
                u = L.Fma(x, L.Load(from + L.Count), u);
            }
            L.Store(s, c + i);
            L.Store(u, c + i + L.Count);
        }
        for (; i < n; i++)
        {
            float s = 0;
            for (int l = 0; l < k; l++) s = LanesScalar.Fma(a[l], b[rows[l] + i], s);
            c[i] = s;
        }
    }
}
