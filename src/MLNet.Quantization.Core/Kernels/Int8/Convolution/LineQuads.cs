using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MLNet.Quantization.Kernels;

/// <summary>Zips four lines of bytes: byte i of each, one behind the other, then byte i + 1.</summary>
/// <param name="a">First line.</param>
/// <param name="b">Second.</param>
/// <param name="c">Third.</param>
/// <param name="d">Fourth.</param>
/// <param name="flip">Of every byte these bits are turned.</param>
internal readonly unsafe ref struct LineQuads(byte* a, byte* b, byte* c, byte* d, byte flip)
{
    private const int QuadBytes = 4, RunBytes = 16;

    /// <summary>Byte 4 i + l of what comes out is byte i of line l, the lines lying one behind the other.</summary>
    private static readonly Vector512<byte> s_order = Vector512.Create([.. Enumerable.Range(0, 64).Select(i => (byte)((i % QuadBytes * RunBytes) + (i / QuadBytes)))]);

    /// <summary>Bytes side by side.</summary>
    /// <param name="count">Of a line.</param>
    /// <param name="to">Four times as many.</param>
    public void Zip(int count, byte* to)
    {
        ZipRuns(count / RunBytes, RunBytes, to);
        for (int i = count - (count % RunBytes); i < count; i++) Zip1(i, to + (QuadBytes * i));
    }

    /// <summary>Runs of 16 bytes.</summary>
    /// <param name="runs">How many.</param>
    /// <param name="step">Bytes from one run to the next.</param>
    /// <param name="to">64 bytes a run, side by side.</param>
    public void ZipRuns(int runs, int step, byte* to)
    {
        // In registers: what is stored could else be what this struct holds.
        byte* p0 = a, p1 = b, p2 = c, p3 = d, end = to + ((long)runs * QuadBytes * RunBytes);
        if (Avx512Vbmi.IsSupported)
        {
            Vector512<byte> order = s_order, turned = Vector512.Create(flip);
            for (; to < end; to += QuadBytes * RunBytes, p0 += step, p1 += step, p2 += step, p3 += step)
            {
                var lines = Vector128.Load(p0).ToVector256Unsafe().ToVector512Unsafe();
                lines = Avx512F.InsertVector128(lines, Vector128.Load(p1), 1);
                lines = Avx512F.InsertVector128(lines, Vector128.Load(p2), 2);
                lines = Avx512F.InsertVector128(lines, Vector128.Load(p3), 3);
                (Avx512Vbmi.PermuteVar64x8(lines, order) ^ turned).Store(to);
            }
        }
        else if (Sse2.IsSupported)
        {
            var turned = Vector128.Create(flip);
            for (; to < end; to += QuadBytes * RunBytes, p0 += step, p1 += step, p2 += step, p3 += step)
                Zip16(Vector128.Load(p0), Vector128.Load(p1), Vector128.Load(p2), Vector128.Load(p3), turned, to);
        }
        else
        {
            for (int r = 0; r < runs; r++)
                for (int i = 0; i < RunBytes; i++, to += QuadBytes) Zip1((r * step) + i, to);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Zip16(Vector128<byte> a, Vector128<byte> b, Vector128<byte> c, Vector128<byte> d, Vector128<byte> turned, byte* to)
    {
        Vector128<short> lowAb = Sse2.UnpackLow(a, b).AsInt16(), highAb = Sse2.UnpackHigh(a, b).AsInt16();
        Vector128<short> lowCd = Sse2.UnpackLow(c, d).AsInt16(), highCd = Sse2.UnpackHigh(c, d).AsInt16();
        (Sse2.UnpackLow(lowAb, lowCd).AsByte() ^ turned).Store(to);
        (Sse2.UnpackHigh(lowAb, lowCd).AsByte() ^ turned).Store(to + 16);
        (Sse2.UnpackLow(highAb, highCd).AsByte() ^ turned).Store(to + 32);
        (Sse2.UnpackHigh(highAb, highCd).AsByte() ^ turned).Store(to + 48);
    }

    private void Zip1(int at, byte* to) => (to[0], to[1], to[2], to[3]) = ((byte)(a[at] ^ flip), (byte)(b[at] ^ flip), (byte)(c[at] ^ flip), (byte)(d[at] ^ flip));
}
