using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Kernels;

/// <summary>Dynamic quantization to u8, one scale and zero point a row, by the formulas of ONNX's DynamicQuantizeLinear.</summary>
internal static unsafe class RowQuantizer
{
    /// <summary>Nanoseconds: of a row, and of each value in it.</summary>
    private const double RowTime = 10, ValueTime = 0.15;

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
            var body = new Body(px, k, pq, ps, pz);
            Ranges.Run(ref body, m, 1, RowTime + (k * ValueTime), maxThreads);
        }
    }

    private readonly struct Body(float* x, int k, byte* q, float* scales, int* zeroPoints) : IRangeBody
    {
        public void Run(int from, int to) => Rows(x + ((long)from * k), k, to - from, k, q + ((long)from * k), k, scales + from, zeroPoints + from);
    }

    /// <summary>Quantizes rows; the codes of a row are unspecified where its scale is NaN.</summary>
    /// <param name="x">First row, of <paramref name="k"/> values.</param>
    /// <param name="stride">Values from one row to the next.</param>
    /// <param name="m">Rows.</param>
    /// <param name="k">0 or more.</param>
    /// <param name="q">First row of codes.</param>
    /// <param name="codeStride">Bytes from one row of codes to the next.</param>
    /// <param name="scales">m.</param>
    /// <param name="zeroPoints">m.</param>
    internal static void Rows(float* x, long stride, int m, int k, byte* q, long codeStride, float* scales, int* zeroPoints)
    {
        if (k >= Vector512<float>.Count && Avx512BW.IsSupported) Rows512(x, stride, m, k, q, codeStride, scales, zeroPoints);
        else
            for (int i = 0; i < m; i++) Row(x + (i * stride), k, q + (i * codeStride), scales + i, zeroPoints + i);
    }

    private static void Row(float* x, int k, byte* q, float* scale, int* zeroPoint)
    {
        (*scale, *zeroPoint) = ParametersOf(x, k);
        if (!float.IsNaN(*scale)) Codes(x, k, *scale, *zeroPoint, q);
    }

    /// <summary>s8 codes without a zero point of values within ±127 steps, or of any where the scale is NaN; those of <see cref="NaiveInt8.SymmetricCode"/>.</summary>
    internal static void SymmetricCodes(float* x, int k, float scale, sbyte* q)
    {
        if (k >= Vector512<float>.Count && Avx512BW.IsSupported && scale is > Quantizer.LeastFast and < Quantizer.MostFast) SymmetricCodes512(x, k, scale, q);
        else Quantizer.Quantize(new ReadOnlySpan<float>(x, k), new(scale, 0), new Span<sbyte>(q, k), CodeGrid.Int8Narrow);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SymmetricCodes512(float* x, int k, float scale, sbyte* q)
    {
        Vector512<float> scales = Vector512.Create(scale), reciprocals = Vector512.Create(1f / scale);
        int last = k - Vector512<float>.Count;
        for (int j = 0; j < k; j += Vector512<float>.Count)
        {
            int at = Math.Min(j, last);
            Avx512F.ConvertToVector128SByteWithSaturation(Code512(x + at, scales, reciprocals)).Store(q + at);
        }
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

    /// <summary>
    /// A step of a small recurrent layer waits for these numbers: from the values to the codes all stays in vector registers, and what
    /// is known of a row's scale is asked without waiting for the answer.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows512(float* x, long stride, int m, int k, byte* q, long codeStride, float* scales, int* zeroPoints)
    {
        for (int i = 0; i < m; i++, x += stride, q += codeStride)
        {
            bool finite = FloatRange.Of512(x, k, out var min, out var max);
            var scale = (max - min) / Vector128.Create(255f);
            if (!finite || scale.ToScalar() is not (> Quantizer.LeastFast and < Quantizer.MostFast))
            {
                Row(x, k, q, scales + i, zeroPoints + i);
                continue;
            }
            var zeroPoint = Sse2.ConvertToVector128Int32(Vector128.MinNative(Vector128.MaxNative(-min / scale, Vector128<float>.Zero), Vector128.Create(255f)));
            scales[i] = scale.ToScalar();
            zeroPoints[i] = zeroPoint.ToScalar();
            CodesInRange512(x, k, scale, zeroPoint, q);
        }
    }

    /// <summary>Codes of values between the minimum and the maximum that gave scale and zero point, so that none is far out of range.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void CodesInRange512(float* x, int k, Vector128<float> scale, Vector128<int> zeroPoint, byte* q)
    {
        var scales = Avx512F.BroadcastScalarToVector512(scale);
        var reciprocals = Avx512F.BroadcastScalarToVector512(Vector128<float>.One / scale);
        var zeroPoints = Avx512F.BroadcastScalarToVector512(zeroPoint);
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
    private static Vector512<int> Code512(float* x, Vector512<float> scales, Vector512<float> reciprocals) =>
        Avx512F.ConvertToVector512Int32(Quantizer.Quotient512(Vector512.Load(x), scales, reciprocals));

    /// <summary>The codes of <paramref name="k"/> values, as <see cref="Quantizer"/> gives them.</summary>
    internal static void Codes(float* x, int k, float scale, int zeroPoint, byte* q) =>
        Quantizer.Quantize(new ReadOnlySpan<float>(x, k), new(scale, zeroPoint), new Span<byte>(q, k));
}
