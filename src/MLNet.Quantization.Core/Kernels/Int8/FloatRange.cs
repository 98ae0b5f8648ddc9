using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Kernels;

/// <summary>Least and greatest of some floats and 0, and whether all are finite.</summary>
internal static unsafe class FloatRange
{
    /// <param name="x">Values.</param>
    /// <param name="k">How many.</param>
    /// <param name="min">0 or less.</param>
    /// <param name="max">0 or more.</param>
    /// <returns>False where one is NaN or infinite; the range is then of no use.</returns>
    public static bool Of(float* x, int k, out float min, out float max)
    {
        if (Vector512.IsHardwareAccelerated && k >= Vector512<float>.Count)
        {
            bool finite = Of512(x, k, out var least, out var greatest);
            (min, max) = (least.ToScalar(), greatest.ToScalar());
            return finite;
        }
        if (k >= Vector256<float>.Count) return Of256(x, k, out min, out max);
        min = max = 0;
        float poison = 0;
        for (int j = 0; j < k; j++)
        {
            min = MathF.Min(min, x[j]);
            max = MathF.Max(max, x[j]);
            poison += x[j] * 0;
        }
        return poison == 0;
    }

    /// <summary>
    /// The same with the ends in every lane. The native minimum forgets a NaN that it meets; times 0 and summed, a NaN or an infinity stays.
    /// What does not fill a vector is read together with values before it, which changes neither.
    /// </summary>
    /// <param name="x">Values.</param>
    /// <param name="k">16 or more.</param>
    /// <param name="min">0 or less.</param>
    /// <param name="max">0 or more.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static bool Of512(float* x, int k, out Vector128<float> min, out Vector128<float> max)
    {
        Vector512<float> low0 = default, low1 = default, high0 = default, high1 = default, poison0 = default, poison1 = default;
        int j = 0, last = k - Vector512<float>.Count;
        for (; j < last; j += 2 * Vector512<float>.Count)
        {
            var a = Vector512.Load(x + j);
            var b = Vector512.Load(x + Math.Min(j + Vector512<float>.Count, last));
            low0 = Vector512.MinNative(low0, a);
            low1 = Vector512.MinNative(low1, b);
            high0 = Vector512.MaxNative(high0, a);
            high1 = Vector512.MaxNative(high1, b);
            poison0 = Vector512.MultiplyAddEstimate(a, Vector512<float>.Zero, poison0);
            poison1 = Vector512.MultiplyAddEstimate(b, Vector512<float>.Zero, poison1);
        }
        var end = Vector512.Load(x + last);
        low0 = Vector512.MinNative(Vector512.MinNative(low0, low1), end);
        high0 = Vector512.MaxNative(Vector512.MaxNative(high0, high1), end);
        poison0 = Vector512.MultiplyAddEstimate(end, Vector512<float>.Zero, poison0 + poison1);
        min = Least(Vector256.MinNative(low0.GetLower(), low0.GetUpper()));
        max = Greatest(Vector256.MaxNative(high0.GetLower(), high0.GetUpper()));
        return Vector512.EqualsAll(poison0, Vector512<float>.Zero);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool Of256(float* x, int k, out float min, out float max)
    {
        Vector256<float> low = default, high = default, poison = default;
        int last = k - Vector256<float>.Count;
        for (int j = 0; j < last; j += Vector256<float>.Count)
        {
            var a = Vector256.Load(x + j);
            low = Vector256.MinNative(low, a);
            high = Vector256.MaxNative(high, a);
            poison = Vector256.MultiplyAddEstimate(a, Vector256<float>.Zero, poison);
        }
        var end = Vector256.Load(x + last);
        min = Least(Vector256.MinNative(low, end)).ToScalar();
        max = Greatest(Vector256.MaxNative(high, end)).ToScalar();
        return Vector256.EqualsAll(Vector256.MultiplyAddEstimate(end, Vector256<float>.Zero, poison), Vector256<float>.Zero);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Least(Vector256<float> x)
    {
        var low = Vector128.MinNative(x.GetLower(), x.GetUpper());
        low = Vector128.MinNative(low, Vector128.Shuffle(low, Vector128.Create(2, 3, 0, 1)));
        return Vector128.MinNative(low, Vector128.Shuffle(low, Vector128.Create(1, 0, 3, 2)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Greatest(Vector256<float> x)
    {
        var high = Vector128.MaxNative(x.GetLower(), x.GetUpper());
        high = Vector128.MaxNative(high, Vector128.Shuffle(high, Vector128.Create(2, 3, 0, 1)));
        return Vector128.MaxNative(high, Vector128.Shuffle(high, Vector128.Create(1, 0, 3, 2)));
    }
}
