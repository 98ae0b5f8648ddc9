using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Kernels;

/// <summary>Dynamic quantization to u8, one scale and zero point a row, by the formulas of ONNX's DynamicQuantizeLinear.</summary>
internal static unsafe class RowQuantizer
{
    /// <summary>Values for which waking a second thread pays.</summary>
    private const long ChunkValues = 32768;

    /// <param name="x">[m, k].</param>
    /// <param name="m">Rows.</param>
    /// <param name="k">Columns.</param>
    /// <param name="q">[m, k]: codes; unspecified in rows whose scale is NaN.</param>
    /// <param name="scales">m; NaN where the row holds NaN or infinity, or spans more than float32 can.</param>
    /// <param name="zeroPoints">m.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public static void Quantize(ReadOnlySpan<float> x, int m, int k, Span<byte> q, Span<float> scales, Span<int> zeroPoints, int maxThreads)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(m);
        ArgumentOutOfRangeException.ThrowIfNegative(k);
        if (x.Length < (long)m * k) throw new ArgumentException($"{x.Length} values do not fill [{m}, {k}].", nameof(x));
        if (q.Length < (long)m * k) throw new ArgumentException($"{q.Length} codes do not hold [{m}, {k}].", nameof(q));
        if (scales.Length < m) throw new ArgumentException($"{scales.Length} scales for {m} rows.", nameof(scales));
        if (zeroPoints.Length < m) throw new ArgumentException($"{zeroPoints.Length} zero points for {m} rows.", nameof(zeroPoints));
        fixed (float* px = x, ps = scales)
        fixed (byte* pq = q)
        fixed (int* pz = zeroPoints)
        {
            int rows = (int)Math.Max(1, ChunkValues / Math.Max(1, k));
            var body = new Body(px, m, k, pq, ps, pz, rows);
            WorkerPool.Run(ref body, (int)(((long)m + rows - 1) / rows), maxThreads);
        }
    }

    private readonly struct Body(float* x, int m, int k, byte* q, float* scales, int* zeroPoints, int rows) : IParallelBody
    {
        public void Run(int chunk, int lane)
        {
            int end = (int)Math.Min(m, ((long)chunk + 1) * rows);
            for (int i = chunk * rows; i < end; i++)
            {
                float* row = x + ((long)i * k);
                (scales[i], zeroPoints[i]) = ParametersOf(row, k);
                if (!float.IsNaN(scales[i])) Codes(row, k, scales[i], zeroPoints[i], q + ((long)i * k));
            }
        }
    }

    /// <summary>Scale and zero point of a row, its range extended to hold 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static (float Scale, int ZeroPoint) ParametersOf(float* x, int k)
    {
        int j = 0;
        float min = 0, max = 0;
        int magnitude = 0; // the largest pattern of bits without the sign: from infinity's on the row is not finite
        if (k >= 8)
        {
            Vector256<float> lows = default, highs = default;
            Vector256<int> magnitudes = default;
            for (; j <= k - 8; j += 8)
            {
                var v = Vector256.Load(x + j);
                lows = Vector256.MinNative(lows, v);
                highs = Vector256.MaxNative(highs, v);
                magnitudes = Vector256.Max(magnitudes, v.AsInt32() & Vector256.Create(int.MaxValue));
            }
            for (int i = 0; i < 8; i++)
            {
                min = MathF.Min(min, lows[i]);
                max = MathF.Max(max, highs[i]);
                magnitude = Math.Max(magnitude, magnitudes[i]);
            }
        }
        for (; j < k; j++)
        {
            min = MathF.Min(min, x[j]);
            max = MathF.Max(max, x[j]);
            magnitude = Math.Max(magnitude, BitConverter.SingleToInt32Bits(x[j]) & int.MaxValue);
        }
        return magnitude >= BitConverter.SingleToInt32Bits(float.PositiveInfinity) ? (float.NaN, 0) : ParametersOf(min, max);
    }

    /// <summary>S = (max - min) / 255, Z = round(clamp(-min / S)), in float32; S = 1, Z = 0 where all is 0.</summary>
    /// <param name="min">0 or less, or NaN.</param>
    /// <param name="max">0 or more, or NaN.</param>
    internal static (float Scale, int ZeroPoint) ParametersOf(float min, float max)
    {
        float scale = (max - min) / 255f;
        if (!float.IsFinite(scale)) return (float.NaN, 0);
        if (scale == 0) return (1, 0);
        return (scale, (int)MathF.Round(Math.Clamp(-min / scale, 0f, 255f), MidpointRounding.ToEven));
    }

    /// <summary>The codes of <paramref name="k"/> values, as <see cref="Quantizer"/> gives them.</summary>
    internal static void Codes(float* x, int k, float scale, int zeroPoint, byte* q) =>
        Quantizer.Quantize(new ReadOnlySpan<float>(x, k), new(scale, zeroPoint), new Span<byte>(q, k));
}
