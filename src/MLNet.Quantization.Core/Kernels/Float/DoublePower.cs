namespace MLNet.Quantization.Kernels;

/// <summary>
/// Powers in double, by additions, products and fused multiply-adds alone, so that every machine gives the same bits: the base
/// library's function differs from one system to the next. Rounded to float32 they are within 0.51 units in the last place.
/// </summary>
internal static class DoublePower
{
    /// <summary>Whole exponents up to this one are products.</summary>
    private const double MaxWhole = 64;

    private const double Ln2 = 0.693147180559945309;

    private const double Log2E = 1.44269504088896341;

    /// <summary>x^y, with the special values of IEEE 754's pow: 1 where y is 0 or x is 1, whatever the other is.</summary>
    public static double Of(double x, double y)
    {
        if (y == 0 || x == 1) return 1;
        if (double.IsNaN(x) || double.IsNaN(y)) return double.NaN;
        double magnitude = Math.Abs(x);
        if (double.IsInfinity(y)) return magnitude == 1 ? 1 : magnitude > 1 == y > 0 ? double.PositiveInfinity : 0;
        bool isWhole = y == Math.Floor(y);
        if (isWhole && Math.Abs(y) <= MaxWhole) return Whole(x, (int)y);
        // Doubles from 2^53 on are even.
        bool isOdd = isWhole && Math.Abs(y) < 9007199254740992 && ((long)y & 1) != 0;
        double sign = double.IsNegative(x) && isOdd ? -1 : 1;
        if (magnitude == 0) return y > 0 ? sign * 0 : sign * double.PositiveInfinity;
        if (double.IsInfinity(magnitude)) return y > 0 ? sign * double.PositiveInfinity : sign * 0;
        if (x < 0 && !isWhole) return double.NaN;
        return y == 0.5 ? Math.Sqrt(x) : sign * Exp2(y * Log2(magnitude));
    }

    /// <summary>x^n by squaring.</summary>
    private static double Whole(double x, int n)
    {
        double power = 1;
        for (int left = Math.Abs(n); ; x *= x)
        {
            if ((left & 1) != 0) power *= x;
            left >>= 1;
            if (left == 0) return n < 0 ? 1 / power : power;
        }
    }

    /// <param name="x">Above 0, finite, normal.</param>
    /// <remarks>x = 2^e · m with m from √½ to √2; ln m = 2·artanh((m - 1) / (m + 1)) by its series to the 21st power.</remarks>
    private static double Log2(double x)
    {
        const long sqrtHalf = 0x3FE6A09E667F3BCD;
        long bits = BitConverter.DoubleToInt64Bits(x) - sqrtHalf;
        double m = BitConverter.Int64BitsToDouble((bits & 0x000FFFFFFFFFFFFF) + sqrtHalf);
        double s = (m - 1) / (m + 1), z = s * s, p = 1.0 / 21;
        for (int k = 19; k > 0; k -= 2) p = Math.FusedMultiplyAdd(p, z, 1.0 / k);
        return Math.FusedMultiplyAdd(2 * Log2E * s, p, bits >> 52);
    }

    /// <remarks>t = n + r with |r| at most ½; 2^r by the exponential series to the 13th power.</remarks>
    private static double Exp2(double t)
    {
        if (t > 1100) return double.PositiveInfinity;
        if (t < -1200) return 0;
        double n = Math.Round(t), r = (t - n) * Ln2, p = 1;
        for (int k = 13; k > 0; k--) p = Math.FusedMultiplyAdd(p, r / k, 1);
        return Math.ScaleB(p, (int)n);
    }
}
