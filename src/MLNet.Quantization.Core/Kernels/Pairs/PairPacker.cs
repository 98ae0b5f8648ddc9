using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Kernels;

/// <summary>Puts the s8 codes of a right factor into panels, [group of k][column][k within group], and sums its columns.</summary>
internal static unsafe class PairPacker
{
    /// <param name="layout">Of the panels.</param>
    /// <param name="source">Rows of codes.</param>
    /// <param name="packed">Of <see cref="Int8Layout.Bytes"/>.</param>
    /// <param name="sums">One for each column of all panels: Σ over k.</param>
    public static void Rows<T>(Int8Layout layout, in T source, byte* packed, int* sums) where T : struct, ICodeRows
    {
        foreach (ref readonly var p in layout.Panels.AsSpan())
        {
            if (layout.Kernel.GroupSize == 4) Fours(layout.K, p, source, packed + p.Offset, sums + p.Column);
            else Any(layout, p, source, packed + p.Offset, sums + p.Column);
        }
    }

    /// <summary>Four rows make one group: of each lane the lowest bytes of four codes, one above the other.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Fours<T>(int k, in Int8Layout.Panel p, T source, byte* packed, int* sums) where T : struct, ICodeRows
    {
        int whole = p.Columns / 8 * 8;
        new Span<int>(sums, p.Width).Clear();
        for (int l = 0; l < k; l += 4, packed += 4 * p.Width)
        {
            int rows = Math.Min(4, k - l), j = 0;
            for (; j < whole; j += 8)
            {
                int column = p.Column + j;
                Vector256<int> c0 = source.Eight(l, column), c1 = rows > 1 ? source.Eight(l + 1, column) : default, c2 = rows > 2 ? source.Eight(l + 2, column) : default, c3 = rows > 3 ? source.Eight(l + 3, column) : default;
                (Vector256.Load(sums + j) + (c0 + c1 + (c2 + c3))).Store(sums + j);
                var low = Vector256.Create(0xFF);
                ((c0 & low) | ((c1 & low) << 8) | ((c2 & low) << 16) | (c3 << 24)).Store((int*)packed + j);
            }
            for (; j < p.Width; j++)
            {
                int codes = 0;
                for (int i = 0; i < rows && j < p.Columns; i++)
                {
                    int code = source.One(l + i, p.Column + j);
                    sums[j] += code;
                    codes |= (code & 0xFF) << (8 * i);
                }
                ((int*)packed)[j] = codes;
            }
        }
    }

    private static void Any<T>(Int8Layout layout, in Int8Layout.Panel p, T source, byte* packed, int* sums) where T : struct, ICodes
    {
        int group = layout.Kernel.GroupSize;
        new Span<int>(sums, p.Width).Clear();
        for (long l = 0; l < layout.Groups * group; l++)
        {
            byte* to = packed + (l / group * p.Width * group) + (l % group);
            for (int j = 0; j < p.Width; j++)
            {
                int code = l < layout.K && j < p.Columns ? source.One(l, p.Column + j) : 0;
                sums[j] += code;
                to[j * group] = (byte)code;
            }
        }
    }

    /// <summary>Puts columns whose codes lie together.</summary>
    /// <param name="layout">Of the panels.</param>
    /// <param name="codes">[n, <paramref name="stride"/>], zeros behind the k-th code of each up to whole groups.</param>
    /// <param name="stride">A multiple of 4.</param>
    /// <param name="packed">Of <see cref="Int8Layout.Bytes"/>.</param>
    /// <param name="sums">One for each column of all panels: Σ over k.</param>
    public static void Columns(Int8Layout layout, sbyte* codes, long stride, byte* packed, int* sums)
    {
        foreach (ref readonly var p in layout.Panels.AsSpan())
        {
            sbyte* from = codes + (p.Column * stride);
            byte* to = packed + p.Offset;
            if (layout.Kernel.GroupSize == 4)
            {
                // A group is a lane of 32 bits.
                FloatPanels.PutPanel((float*)from, stride / 4, (int)layout.Groups, p.Columns, (float*)to, p.Width);
                SumFours(to, layout.Groups, p.Width, sums + p.Column);
            }
            else Any(layout, p, new StoredColumns((byte*)from, stride, p.Column), to, sums + p.Column);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SumFours(byte* panel, long groups, int width, int* sums)
    {
        int j = 0;
        for (; j <= width - 8; j += 8)
        {
            var sum = Vector256<int>.Zero;
            for (long g = 0; g < groups; g++)
            {
                var v = Vector256.Load((int*)panel + (g * width) + j);
                sum += (v >> 24) + ((v << 8) >> 24) + (((v << 16) >> 24) + ((v << 24) >> 24));
            }
            sum.Store(sums + j);
        }
        for (; j < width; j++)
        {
            sums[j] = 0;
            for (long g = 0; g < groups; g++)
                for (int i = 0; i < 4; i++) sums[j] += (sbyte)panel[(((g * width) + j) * 4) + i];
        }
    }
}
