namespace MLNet.Quantization.Kernels;

/// <summary>An angle as quarters of a turn and a rest of at most π/4, in double.</summary>
internal static class Angle
{
    private const double HalfPiHigh = 1.5707963267948966;
    private const double HalfPiLow = 6.123233995736766e-17;

    /// <summary>Up to here the two parts of π/2 suffice.</summary>
    private const float Near = 65536;

    /// <summary>Bits behind the point of a fraction of a quarter.</summary>
    private const int FractionBits = 94;

    /// <summary>2/π in binary: 32 bits before the point, 256 behind it.</summary>
    private static ReadOnlySpan<uint> TwoOverPi => [0, 0xA2F9836E, 0x4E441529, 0xFC2757D1, 0xF534DDC0, 0xDB629599, 0x3C439041, 0xFE5163AB, 0xDEBBC561];

    /// <summary>x = quarter · π/2 + what is returned, but for whole turns; NaN where x is not finite.</summary>
    public static double Reduce(float x, out int quarter)
    {
        quarter = 0;
        if (!float.IsFinite(x)) return double.NaN;
        if (MathF.Abs(x) > Near) return ReduceFar(x, out quarter);
        double n = Math.Round(x * (2 / Math.PI));
        quarter = (int)n & 3;
        return Math.FusedMultiplyAdd(-n, HalfPiLow, Math.FusedMultiplyAdd(-n, HalfPiHigh, x));
    }

    /// <remarks>
    /// Payne and Hanek: |x| = m · 2^e with m of 24 bits. Of 2/π only the 96 bits count that are worth less than four quarters and at least
    /// 2^-94 of one after the product with 2^e; m times what is left out is below 2^-70.
    /// </remarks>
    private static double ReduceFar(float x, out int quarter)
    {
        int bits = BitConverter.SingleToInt32Bits(x) & int.MaxValue, e = (bits >> 23) - 150;
        uint m = (uint)((bits & 0x007FFFFF) | 0x00800000);
        // The window's first bit, counted from that of the table: 2 before the point, moved by e.
        int first = 32 - 2 + e, word = first >> 5;
        var window = new UInt128(((ulong)TwoOverPi[word] << 32) | TwoOverPi[word + 1], ((ulong)TwoOverPi[word + 2] << 32) | TwoOverPi[word + 3]);
        var mask = (UInt128.One << (FractionBits + 2)) - 1;
        var product = ((window >> (32 - (first & 31))) & mask) * m & mask;
        quarter = (int)((product + (UInt128.One << (FractionBits - 1))) >> FractionBits);
        // 62 bits of the rest, signed: nothing near a whole quarter is as near as 2^-40.
        long rest = (long)((product >> (FractionBits - 62)) - ((UInt128)quarter << 62));
        double r = rest * (HalfPiHigh / (1L << 62));
        quarter = (x < 0 ? -quarter : quarter) & 3;
        return x < 0 ? -r : r;
    }
}
