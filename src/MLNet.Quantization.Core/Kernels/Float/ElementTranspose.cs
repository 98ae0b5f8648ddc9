using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace MLNet.Quantization.Kernels;

/// <summary>Transposes matrices of 32-bit elements, 4 by 4 in registers, by tiles that keep the lines of both sides in the first-level cache.</summary>
internal static unsafe class ElementTranspose
{
    private const int Tile = 16, Block = 4;

    private static bool CanZip => Sse2.IsSupported || AdvSimd.Arm64.IsSupported;

    /// <param name="from">[rows, columns].</param>
    /// <param name="rows">Rows of the source.</param>
    /// <param name="columns">Columns of the source.</param>
    /// <param name="stride">Elements from one row of the source to the next.</param>
    /// <param name="to">[columns, rows].</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(int* from, int rows, int columns, long stride, int* to)
    {
        int wholeRows = CanZip ? rows / Block * Block : 0, wholeColumns = columns / Block * Block;
        for (int c0 = 0; c0 < wholeColumns; c0 += Tile)
            for (int r0 = 0; r0 < wholeRows; r0 += Tile)
            {
                int rowEnd = Math.Min(wholeRows, r0 + Tile), columnEnd = Math.Min(wholeColumns, c0 + Tile);
                for (int c = c0; c < columnEnd; c += Block)
                    for (int r = r0; r < rowEnd; r += Block) Transpose4(from + (r * stride) + c, stride, to + ((long)c * rows) + r, rows);
            }
        Naive(from + wholeColumns, wholeRows, columns - wholeColumns, stride, to + ((long)wholeColumns * rows), rows);
        Naive(from + (wholeRows * stride), rows - wholeRows, columns, stride, to + wholeRows, rows);
    }

    private static void Naive(int* from, int rows, int columns, long stride, int* to, long toStride)
    {
        for (int c = 0; c < columns; c++)
            for (int r = 0; r < rows; r++) to[(c * toStride) + r] = from[(r * stride) + c];
    }

    /// <summary>Two rounds: in each, rows i and i + 2 of the last are zipped to rows 2i and 2i + 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose4(int* from, long stride, int* to, long toStride)
    {
        Vector128<int> r0 = Vector128.Load(from), r1 = Vector128.Load(from + stride), r2 = Vector128.Load(from + (2 * stride)), r3 = Vector128.Load(from + (3 * stride));
        Vector128<int> a = ZipLow(r0, r2), b = ZipHigh(r0, r2), c = ZipLow(r1, r3), d = ZipHigh(r1, r3);
        ZipLow(a, c).Store(to);
        ZipHigh(a, c).Store(to + toStride);
        ZipLow(b, d).Store(to + (2 * toStride));
        ZipHigh(b, d).Store(to + (3 * toStride));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> ZipLow(Vector128<int> a, Vector128<int> b) => Sse2.IsSupported ? Sse2.UnpackLow(a, b) : AdvSimd.Arm64.ZipLow(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> ZipHigh(Vector128<int> a, Vector128<int> b) => Sse2.IsSupported ? Sse2.UnpackHigh(a, b) : AdvSimd.Arm64.ZipHigh(a, b);
}
