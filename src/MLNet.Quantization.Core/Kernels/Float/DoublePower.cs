namespace MLNet.Quantization.Kernels;

/// <summary>Powers, as <see cref="DoubleFunctions"/> are.</summary>
internal static class DoublePower
{
    /// <summary>Whole exponents up to this one are products.</summary>
    private const double MaxWhole = 64;

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
        return y == 0.5 ? Math.Sqrt(x) : sign * DoubleFunctions.Exp2(y * DoubleFunctions.Log2(magnitude));
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
}
