namespace MLNet.Quantization.Ops;

/// <summary>erf in double, for definitions.</summary>
internal static class ErrorFunction
{
    /// <summary>2 / √π · Σ (-1)ⁿ · x^(2n+1) / (n! · (2n + 1)) up to |x| = 3, beyond that 1 less a continued fraction (Abramowitz and Stegun, 1964, 7.1.5 and 7.1.14).</summary>
    public static double Of(double x)
    {
        double z = Math.Abs(x), sum = z, term = z;
        if (z > 6) return Math.Sign(x);
        if (z > 3)
        {
            double fraction = 0;
            for (int n = 60; n > 0; n--) fraction = n / 2.0 / (z + fraction);
            return Math.Sign(x) * (1 - (Math.Exp(-z * z) / (Math.Sqrt(Math.PI) * (z + fraction))));
        }
        for (int n = 1; Math.Abs(term) > 1e-18 * sum; n++)
        {
            term *= -z * z / n;
            sum += term / ((2 * n) + 1);
        }
        return Math.Sign(x) * 2 / Math.Sqrt(Math.PI) * sum;
    }
}
