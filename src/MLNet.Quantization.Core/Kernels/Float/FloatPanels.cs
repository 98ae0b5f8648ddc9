using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

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
        int rest = n - column, at = 0;
        for (; at <= rest - 8; at += 8) Vector256.Store(Vector256.Load(row + at), to + at);
        for (; at < rest; at++) to[at] = row[at];
        for (; at < width && at % 8 != 0; at++) to[at] = 0;
        for (; at < width; at += 8) Vector256.Store(Vector256<float>.Zero, to + at);
    }

    /// <summary>Puts all of B where <see cref="Multiply"/> looks for it, from its columns.</summary>
    /// <param name="columns">[n, k].</param>
    /// <param name="stride">From one column to the next.</param>
    /// <param name="k">Rows of B.</param>
    /// <param name="n">Columns of B.</param>
    /// <param name="packed"><see cref="FloatGemm.PackedCount"/>.</param>
    /// <param name="tier">That of the product.</param>
    public static void PutColumns(float* columns, long stride, int k, int n, float* packed, FloatTier tier)
    {
        int width = FloatGemm.PanelWidth(tier);
        for (int column = 0; column < n; column += width, packed += (long)k * width) PutPanel(columns + (column * stride), stride, k, Math.Min(width, n - column), packed, width);
    }

    /// <summary>One panel [k, width], zeros behind its last column. Blocks of eight by eight are turned in registers.</summary>
    /// <param name="columns">[count, k], anything of 32 bits.</param>
    /// <param name="stride">From one column to the next.</param>
    /// <param name="k">Rows of the panel.</param>
    /// <param name="count">Columns that there are.</param>
    /// <param name="packed">The panel.</param>
    /// <param name="width">Columns of the panel.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void PutPanel(float* columns, long stride, int k, int count, float* packed, int width)
    {
        int j = 0;
        if (Avx.IsSupported)
        {
            for (; j <= count - 8; j += 8)
            {
                float* from = columns + (j * stride);
                int l = 0;
                for (; l <= k - 8; l += 8) PutBlock(from + l, stride, packed + ((long)l * width) + j, width);
                for (; l < k; l++)
                    for (int i = 0; i < 8; i++) packed[((long)l * width) + j + i] = from[(i * stride) + l];
            }
        }
        for (; j < count; j++)
        {
            float* from = columns + (j * stride), to = packed + j;
            for (int l = 0; l < k; l++, to += width) *to = from[l];
        }
        if (count == width) return;
        for (int l = 0; l < k; l++)
        {
            float* to = packed + ((long)l * width);
            for (j = count; j < width && j % 8 != 0; j++) to[j] = 0;
            for (; j < width; j += 8) Vector256.Store(Vector256<float>.Zero, to + j);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PutBlock(float* from, long stride, float* to, int width)
    {
        Vector256<float> r0 = Vector256.Load(from), r1 = Vector256.Load(from + stride), r2 = Vector256.Load(from + (2 * stride)), r3 = Vector256.Load(from + (3 * stride));
        from += 4 * stride;
        Vector256<float> r4 = Vector256.Load(from), r5 = Vector256.Load(from + stride), r6 = Vector256.Load(from + (2 * stride)), r7 = Vector256.Load(from + (3 * stride));
        Vector256<float> a0 = Avx.UnpackLow(r0, r1), a1 = Avx.UnpackHigh(r0, r1), a2 = Avx.UnpackLow(r2, r3), a3 = Avx.UnpackHigh(r2, r3);
        Vector256<float> a4 = Avx.UnpackLow(r4, r5), a5 = Avx.UnpackHigh(r4, r5), a6 = Avx.UnpackLow(r6, r7), a7 = Avx.UnpackHigh(r6, r7);
        Vector256<float> b0 = Avx.Shuffle(a0, a2, 0x44), b1 = Avx.Shuffle(a0, a2, 0xEE), b2 = Avx.Shuffle(a1, a3, 0x44), b3 = Avx.Shuffle(a1, a3, 0xEE);
        Vector256<float> b4 = Avx.Shuffle(a4, a6, 0x44), b5 = Avx.Shuffle(a4, a6, 0xEE), b6 = Avx.Shuffle(a5, a7, 0x44), b7 = Avx.Shuffle(a5, a7, 0xEE);
        Avx.Permute2x128(b0, b4, 0x20).Store(to);
        Avx.Permute2x128(b1, b5, 0x20).Store(to + width);
        Avx.Permute2x128(b2, b6, 0x20).Store(to + (2 * width));
        Avx.Permute2x128(b3, b7, 0x20).Store(to + (3 * width));
        to += 4 * width;
        Avx.Permute2x128(b0, b4, 0x31).Store(to);
        Avx.Permute2x128(b1, b5, 0x31).Store(to + width);
        Avx.Permute2x128(b2, b6, 0x31).Store(to + (2 * width));
        Avx.Permute2x128(b3, b7, 0x31).Store(to + (3 * width));
    }

    /// <param name="a">[m, k].</param>
    /// <param name="lda">From one row of A to the next.</param>
    /// <param name="m">Rows.</param>
    /// <param name="k">Columns of A.</param>
    /// <param name="packed">All rows of B.</param>
    /// <param name="n">Columns of B.</param>
    /// <param name="c">m rows of n.</param>
    /// <param name="stride">From one row of C to the next.</param>
    /// <param name="tier">That B is packed for.</param>
    [SkipLocalsInit]
    public static void Multiply(float* a, long lda, int m, int k, float* packed, int n, float* c, int stride, FloatTier tier)
    {
        var tile = FloatTile.For(tier);
        int width = FloatGemm.PanelWidth(tier);
        FloatTile.Arguments t;
        t.K = k;
        t.Lda = lda;
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
                    t.A = a + (r * lda);
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
