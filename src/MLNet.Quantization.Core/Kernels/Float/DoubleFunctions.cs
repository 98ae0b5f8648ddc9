namespace MLNet.Quantization.Kernels;

/// <summary>
/// Functions in double, by the four operations, square roots and fused multiply-add alone, so that every machine gives the same bits: the
/// base library's functions differ from one system to the next. For results that are rounded to float32, which then are within 0.51
/// units in the last place.
/// </summary>
internal static class DoubleFunctions
{
    private const double Ln2 = 0.693147180559945309;

    private const double Log2E = 1.44269504088896341;

    private const double TangentOfEighth = 0.41421356237309505;

    /// <param name="t">Any number.</param>
    /// <remarks>t = n + r with |r| at most ½; 2^r by the exponential series to the 13th power.</remarks>
    public static double Exp2(double t)
    {
        if (t > 1100) return double.PositiveInfinity;
        if (t < -1200) return 0;
        double n = Math.Round(t), r = (t - n) * Ln2, p = 1;
        for (int k = 13; k > 0; k--) p = Math.FusedMultiplyAdd(p, r / k, 1);
        return Math.ScaleB(p, (int)n);
    }

    /// <param name="x">Above 0, finite, normal.</param>
    /// <remarks>x = 2^e · m with m from √½ to √2; ln m = 2·artanh((m - 1) / (m + 1)).</remarks>
    public static double Log2(double x)
    {
        const long sqrtHalf = 0x3FE6A09E667F3BCD;
        long bits = BitConverter.DoubleToInt64Bits(x) - sqrtHalf;
        double m = BitConverter.Int64BitsToDouble((bits & 0x000FFFFFFFFFFFFF) + sqrtHalf);
        return Math.FusedMultiplyAdd(2 * Log2E, ArtanhSeries((m - 1) / (m + 1)), bits >> 52);
    }

    /// <summary>ln(1 + t).</summary>
    /// <param name="t">-1 or more.</param>
    public static double LogOfOneAnd(double t)
    {
        if (Math.Abs(t) < 0.25) return 2 * ArtanhSeries(t / (2 + t));
        if (t <= -1) return t < -1 ? double.NaN : double.NegativeInfinity;
        return double.IsFinite(t) ? Log2(1 + t) * Ln2 : t;
    }

    /// <summary>sin of x and a number of quarters of a turn.</summary>
    public static double Sine(float x, int quarters)
    {
        double r = Angle.Reduce(x, out int quarter);
        quarter += quarters;
        double y = (quarter & 1) == 0 ? SinSeries(r) : CosSeries(r);
        return (quarter & 2) == 0 ? y : -y;
    }

    public static double Tan(float x)
    {
        double r = Angle.Reduce(x, out int quarter);
        return (quarter & 1) == 0 ? SinSeries(r) / CosSeries(r) : -CosSeries(r) / SinSeries(r);
    }

    public static double Asin(float x) => Atan(x / Math.Sqrt((1.0 - x) * (1.0 + x)));

    public static double Acos(float x) => 2 * Atan(Math.Sqrt((1.0 - x) / (1.0 + x)));

    public static double Atan(float x) => Atan((double)x);

    /// <remarks>Beyond 1 by the reciprocal, beyond tan π/8 turned back by π/4; then the series to the 31st power.</remarks>
    private static double Atan(double x)
    {
        double magnitude = Math.Abs(x), from = magnitude > 1 ? 1 / magnitude : magnitude, turned = 0;
        if (from > TangentOfEighth) (from, turned) = ((from - 1) / (from + 1), Math.PI / 4);
        double z = -from * from, p = 1.0 / 31;
        for (int k = 29; k > 0; k -= 2) p = Math.FusedMultiplyAdd(p, z, 1.0 / k);
        double y = Math.FusedMultiplyAdd(p, from, turned);
        return Math.CopySign(magnitude > 1 ? (Math.PI / 2) - y : y, x);
    }

    /// <remarks>Below 1 by its series to the 17th power, which loses nothing near 0.</remarks>
    public static double Sinh(float x)
    {
        if (Math.Abs(x) < 1) return OddSeries(x, (double)x * x);
        double power = Exp2(Math.Abs(x) * Log2E);
        return Math.CopySign((power - (1 / power)) / 2, x);
    }

    public static double Cosh(float x)
    {
        double power = Exp2(Math.Abs(x) * Log2E);
        return (power + (1 / power)) / 2;
    }

    /// <remarks>ln(a + √(a² + 1)), a = |x|, with 1 taken out so that nothing is lost near 0.</remarks>
    public static double Asinh(float x)
    {
        double a = Math.Abs((double)x);
        return double.IsFinite(a) ? Math.CopySign(LogOfOneAnd(a + (a * a / (1 + Math.Sqrt(1 + (a * a))))), x) : x;
    }

    /// <remarks>ln(x + √(x² - 1)), with 1 taken out so that nothing is lost near 1.</remarks>
    public static double Acosh(float x)
    {
        double t = x - 1.0;
        return t < 0 ? double.NaN : LogOfOneAnd(t + Math.Sqrt(t * (2 + t)));
    }

    /// <remarks>½ · ln((1 + a) / (1 - a)), a = |x|.</remarks>
    public static double Atanh(float x)
    {
        double a = Math.Abs((double)x);
        return a > 1 ? double.NaN : Math.CopySign(LogOfOneAnd(2 * a / (1 - a)) / 2, x);
    }

    /// <summary>artanh s by its series to the 21st power.</summary>
    /// <param name="s">At most 0.1716.</param>
    private static double ArtanhSeries(double s)
    {
        double z = s * s, p = 1.0 / 21;
        for (int k = 19; k > 0; k -= 2) p = Math.FusedMultiplyAdd(p, z, 1.0 / k);
        return s * p;
    }

    private static double SinSeries(double r) => OddSeries(r, -r * r);

    /// <summary>x · (1 + z/3! + z²/5! + ...), to the 17th power of x.</summary>
    private static double OddSeries(double x, double z)
    {
        double p = 1;
        for (int k = 16; k > 0; k -= 2) p = Math.FusedMultiplyAdd(p, z / (k * (k + 1)), 1);
        return x * p;
    }

    private static double CosSeries(double r)
    {
        double z = -r * r, p = 1;
        for (int k = 16; k > 0; k -= 2) p = Math.FusedMultiplyAdd(p, z / (k * (k - 1)), 1);
        return p;
    }
}
