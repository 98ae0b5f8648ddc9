using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Kernels;

/// <summary>Rows of float32, each times a number, added in order: every product is rounded, then every sum, so that vector width does not matter.</summary>
internal static unsafe class WeightedSum
{
    /// <summary>y = Σ w · x[row].</summary>
    /// <param name="x">Rows as long as <paramref name="y"/>, one after another.</param>
    /// <param name="taps">At least one: the row, and its weight.</param>
    /// <param name="y">n; not part of <paramref name="x"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(ReadOnlySpan<float> x, ReadOnlySpan<(int Row, float Weight)> taps, Span<float> y)
    {
        int n = y.Length;
        foreach (var (row, _) in taps)
            if (row < 0 || (row + 1L) * n > x.Length) throw new ArgumentException($"Row {row} of {n} elements is not among {x.Length}.", nameof(taps));
        fixed (float* from = x, to = y)
        fixed ((int Row, float Weight)* tap = taps)
        {
            int i = 0;
            if (Vector512.IsHardwareAccelerated)
                for (; i <= n - 16; i += 16)
                {
                    var sum = Vector512.Load(from + ((long)tap[0].Row * n) + i) * Vector512.Create(tap[0].Weight);
                    for (int t = 1; t < taps.Length; t++) sum += Vector512.Load(from + ((long)tap[t].Row * n) + i) * Vector512.Create(tap[t].Weight);
                    sum.Store(to + i);
                }
            if (Vector256.IsHardwareAccelerated)
                for (; i <= n - 8; i += 8)
                {
                    var sum = Vector256.Load(from + ((long)tap[0].Row * n) + i) * Vector256.Create(tap[0].Weight);
                    for (int t = 1; t < taps.Length; t++) sum += Vector256.Load(from + ((long)tap[t].Row * n) + i) * Vector256.Create(tap[t].Weight);
                    sum.Store(to + i);
                }
            if (Vector128.IsHardwareAccelerated)
                for (; i <= n - 4; i += 4)
                {
                    var sum = Vector128.Load(from + ((long)tap[0].Row * n) + i) * Vector128.Create(tap[0].Weight);
                    for (int t = 1; t < taps.Length; t++) sum += Vector128.Load(from + ((long)tap[t].Row * n) + i) * Vector128.Create(tap[t].Weight);
                    sum.Store(to + i);
                }
            for (; i < n; i++)
            {
                float sum = from[((long)tap[0].Row * n) + i] * tap[0].Weight;
                for (int t = 1; t < taps.Length; t++)
                {
                    float product = from[((long)tap[t].Row * n) + i] * tap[t].Weight;
                    sum += product;
                }
                to[i] = sum;
            }
        }
    }

    /// <summary>y = y + w · x.</summary>
    /// <param name="x">n.</param>
    /// <param name="weight">w.</param>
    /// <param name="y">n.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add(ReadOnlySpan<float> x, float weight, Span<float> y)
    {
        if (x.Length != y.Length) throw new ArgumentException($"{x.Length} elements do not add to {y.Length}.", nameof(x));
        int i = 0, n = y.Length;
        fixed (float* from = x, to = y)
        {
            if (Vector512.IsHardwareAccelerated)
                for (; i <= n - 16; i += 16) (Vector512.Load(to + i) + (Vector512.Load(from + i) * Vector512.Create(weight))).Store(to + i);
            if (Vector128.IsHardwareAccelerated)
                for (; i <= n - 4; i += 4) (Vector128.Load(to + i) + (Vector128.Load(from + i) * Vector128.Create(weight))).Store(to + i);
            for (; i < n; i++)
            {
                float product = from[i] * weight;
                to[i] += product;
            }
        }
    }
}
