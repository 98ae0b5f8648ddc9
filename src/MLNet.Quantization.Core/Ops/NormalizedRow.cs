using System.Numerics;

namespace MLNet.Quantization.Ops;

/// <summary>
/// x̂ = (x - mean) / √(variance + epsilon) over all elements of a row, and back: with h = ∂L/∂x̂,
/// ∂L/∂x = (h - Σh / n - x̂ · Σ(h · x̂) / n) / √(variance + epsilon).
/// </summary>
internal static class NormalizedRow
{
    /// <param name="x">A row.</param>
    /// <param name="epsilon">Added to the variance.</param>
    /// <param name="normalized">x̂.</param>
    /// <returns>The mean, and 1 / √(variance + epsilon).</returns>
    public static (T Mean, T Inverse) Normalize<T>(ReadOnlySpan<T> x, T epsilon, Span<T> normalized) where T : unmanaged, IFloatingPointIeee754<T>
    {
        T n = T.CreateChecked(x.Length), mean = Vectors.Sum(x) / n, inverse = T.One / T.Sqrt((Vectors.SumOfSquares(x, mean) / n) + epsilon);
        Vectors.Map(new Scaled<T>(mean, inverse), x, x, normalized);
        return (mean, inverse);
    }

    /// <param name="h">∂L/∂x̂.</param>
    /// <param name="normalized">x̂.</param>
    /// <param name="inverse">1 / √(variance + epsilon).</param>
    /// <param name="gradient">∂L/∂x is added.</param>
    public static void AddGradient<T>(ReadOnlySpan<T> h, ReadOnlySpan<T> normalized, T inverse, Span<T> gradient) where T : unmanaged, IFloatingPointIeee754<T>
    {
        T n = T.CreateChecked(h.Length);
        Vectors.Accumulate(new Back<T>(inverse, Vectors.Sum(h) / n, Vectors.Dot(h, normalized) / n), h, normalized, gradient);
    }

    private readonly struct Scaled<T>(T mean, T inverse) : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        private readonly Vector<T> _mean = new(mean), _inverse = new(inverse);

        public Vector<T> Apply(Vector<T> x, Vector<T> y) => (x - _mean) * _inverse;
    }

    private readonly struct Back<T>(T inverse, T mean, T slope) : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        private readonly Vector<T> _inverse = new(inverse), _mean = new(mean), _slope = new(slope);

        public Vector<T> Apply(Vector<T> x, Vector<T> y) => (x - _mean - (y * _slope)) * _inverse;
    }
}
