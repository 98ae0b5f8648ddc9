using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace MLNet.Quantization.Kernels;

/// <summary>Transposes matrices of bytes, 16 by 16 at a time.</summary>
internal static unsafe class ByteTranspose
{
    private const int Block = 16;

    private static bool CanZip => Sse2.IsSupported || AdvSimd.Arm64.IsSupported;

    /// <param name="from">[rows, columns].</param>
    /// <param name="rows">Rows of the source.</param>
    /// <param name="columns">Columns of the source.</param>
    /// <param name="stride">From one row of the source to the next.</param>
    /// <param name="to">[columns, rows].</param>
    /// <param name="toStride">From one row of the target to the next, at least <paramref name="rows"/>; what lies between keeps no defined value.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(byte* from, int rows, int columns, long stride, byte* to, long toStride)
    {
        if (rows is 3 or 4 && toStride == 4 && CanZip)
        {
            int done = Interleave4(from, rows, columns, stride, to);
            Naive(from + done, rows, columns - done, stride, to + (done * 4L), 4);
            return;
        }
        int wholeRows = CanZip ? rows / Block * Block : 0, wholeColumns = columns / Block * Block;
        for (int r = 0; r < wholeRows; r += Block)
            for (int c = 0; c < wholeColumns; c += Block) Transpose16(from + (r * stride) + c, stride, to + (c * toStride) + r, toStride);
        Naive(from + wholeColumns, wholeRows, columns - wholeColumns, stride, to + (wholeColumns * toStride), toStride);
        Naive(from + (wholeRows * stride), rows - wholeRows, columns, stride, to + wholeRows, toStride);
    }

    private static void Naive(byte* from, int rows, int columns, long stride, byte* to, long toStride)
    {
        for (int c = 0; c < columns; c++)
            for (int r = 0; r < rows; r++) to[(c * toStride) + r] = from[(r * stride) + c];
    }

    /// <summary>Three or four rows to columns of four; the fourth of three is the third again.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int Interleave4(byte* from, int rows, int columns, long stride, byte* to)
    {
        int c = 0;
        for (; c <= columns - Block; c += Block)
        {
            var r0 = Vector128.Load(from + c);
            var r1 = Vector128.Load(from + stride + c);
            var r2 = Vector128.Load(from + (2 * stride) + c);
            var r3 = Vector128.Load(from + ((rows - 1) * stride) + c);
            Vector128<ushort> a = ZipLow(r0, r1).AsUInt16(), b = ZipLow(r2, r3).AsUInt16(), d = ZipHigh(r0, r1).AsUInt16(), e = ZipHigh(r2, r3).AsUInt16();
            ZipLow(a, b).AsByte().Store(to + (c * 4L));
            ZipHigh(a, b).AsByte().Store(to + (c * 4L) + 16);
            ZipLow(d, e).AsByte().Store(to + (c * 4L) + 32);
            ZipHigh(d, e).AsByte().Store(to + (c * 4L) + 48);
        }
        return c;
    }

    /// <summary>Four rounds: in each, rows i and i + 8 of the last are zipped to rows 2i and 2i + 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transpose16(byte* from, long stride, byte* to, long toStride)
    {
        var a = stackalloc Vector128<byte>[Block];
        var b = stackalloc Vector128<byte>[Block];
        for (int i = 0; i < Block; i++) a[i] = Vector128.Load(from + (i * stride));
        for (int round = 0; round < 4; round++)
        {
            for (int i = 0; i < Block / 2; i++)
            {
                b[2 * i] = ZipLow(a[i], a[i + 8]);
                b[(2 * i) + 1] = ZipHigh(a[i], a[i + 8]);
            }
            var swap = a;
            a = b;
            b = swap;
        }
        for (int i = 0; i < Block; i++) a[i].Store(to + (i * toStride));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> ZipLow(Vector128<byte> a, Vector128<byte> b) => Sse2.IsSupported ? Sse2.UnpackLow(a, b) : AdvSimd.Arm64.ZipLow(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> ZipHigh(Vector128<byte> a, Vector128<byte> b) => Sse2.IsSupported ? Sse2.UnpackHigh(a, b) : AdvSimd.Arm64.ZipHigh(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<ushort> ZipLow(Vector128<ushort> a, Vector128<ushort> b) => Sse2.IsSupported ? Sse2.UnpackLow(a, b) : AdvSimd.Arm64.ZipLow(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<ushort> ZipHigh(Vector128<ushort> a, Vector128<ushort> b) => Sse2.IsSupported ? Sse2.UnpackHigh(a, b) : AdvSimd.Arm64.ZipHigh(a, b);
}
