using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
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
                (scales[i], zeroPoints[i]) = Row(x + ((long)i * k), k, q + ((long)i * k));
            }
        }
    }

    /// <summary>Quantizes one row; its codes are unspecified where the scale is NaN.</summary>
    internal static (float Scale, int ZeroPoint) Row(float* x, int k, byte* q)
    {
        var (scale, zeroPoint) = ParametersOf(x, k);
        if (!float.IsNaN(scale)) CodesInRange(x, k, scale, zeroPoint, q);
        return (scale, zeroPoint);
    }

    /// <summary>Scale and zero point of a row, its range extended to hold 0.</summary>
    internal static (float Scale, int ZeroPoint) ParametersOf(float* x, int k) =>
        FloatRange.Of(x, k, out float min, out float max) ? ParametersOf(min, max) : (float.NaN, 0);

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

    /// <summary>Codes of values between the minimum and the maximum that gave scale and zero point, so that none is far out of range.</summary>
    private static void CodesInRange(float* x, int k, float scale, int zeroPoint, byte* q)
    {
        if (k >= Vector512<float>.Count && Avx512BW.IsSupported && scale is > LeastFast and < MostFast) CodesInRange512(x, k, scale, zeroPoint, q);
        else Codes(x, k, scale, zeroPoint, q);
    }

    /// <summary>Scales between which neither 1 / S nor the remainder below leaves the normal floats.</summary>
    private const float LeastFast = 1e-18f, MostFast = 1e18f;

    /// <summary>
    /// x / S, correctly rounded, as q = x · y with y = 1 / S, then q + (x - q · S) · y, both fused: Brisebarre, Muller and Raina,
    /// "Accelerating correctly rounded floating-point division when the divisor is known in advance" (2004). A third of a division's time.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void CodesInRange512(float* x, int k, float scale, int zeroPoint, byte* q)
    {
        var scales = Vector512.Create(scale);
        var reciprocals = Vector512.Create(1f / scale);
        var zeroPoints = Vector512.Create(zeroPoint);
        int j = 0, last = k - Vector512<float>.Count;
        // Packing works within quarters of a register: the order is put right at the end.
        var order = Vector512.Create(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        for (; j <= k - (4 * Vector512<float>.Count); j += 4 * Vector512<float>.Count)
        {
            var first = Avx512BW.PackSignedSaturate(Code512(x + j, scales, reciprocals) + zeroPoints, Code512(x + j + 16, scales, reciprocals) + zeroPoints);
            var second = Avx512BW.PackSignedSaturate(Code512(x + j + 32, scales, reciprocals) + zeroPoints, Code512(x + j + 48, scales, reciprocals) + zeroPoints);
            var codes = Avx512BW.PackUnsignedSaturate(first, second);
            Avx512F.PermuteVar16x32(codes.AsInt32(), order).AsByte().Store(q + j);
        }
        for (; j < k; j += Vector512<float>.Count)
        {
            int at = Math.Min(j, last); // what remains at the end, and some values before it again
            var code = Vector512.Max(Code512(x + at, scales, reciprocals) + zeroPoints, Vector512<int>.Zero);
            Avx512F.ConvertToVector128ByteWithSaturation(code.AsUInt32()).Store(q + at);
        }
    }

    /// <summary>16 quotients, rounded to integers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Code512(float* x, Vector512<float> scales, Vector512<float> reciprocals)
    {
        var v = Vector512.Load(x);
        var quotient = v * reciprocals;
        var remainder = Avx512F.FusedMultiplyAddNegated(quotient, scales, v);
        return Avx512F.ConvertToVector512Int32(Avx512F.FusedMultiplyAdd(remainder, reciprocals, quotient));
    }

    /// <summary>The codes of <paramref name="k"/> values, as <see cref="Quantizer"/> gives them.</summary>
    internal static void Codes(float* x, int k, float scale, int zeroPoint, byte* q) =>
        Quantizer.Quantize(new ReadOnlySpan<float>(x, k), new(scale, zeroPoint), new Span<byte>(q, k));
}
