using System.Runtime.CompilerServices;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// The definition of the INT8 product: what every kernel's bytes are held against, and nothing that scores. Activations a are u8
/// [m, k] with zero point Za, weights w are s8 [k, n], symmetric.
/// </summary>
internal static class NaiveInt8
{
    /// <summary>Σ over k of (a[i, k] - Za) · w[k, j] + bias[j], exact.</summary>
    public static long Accumulate(ReadOnlySpan<byte> a, ReadOnlySpan<sbyte> w, int k, int n, int i, int j, int zeroPoint)
    {
        long sum = 0;
        for (int l = 0; l < k; l++) sum += (long)(a[(i * k) + l] - zeroPoint) * w[(l * n) + j];
        return sum;
    }

    /// <summary>c = acc + bias, int32.</summary>
    public static void Int32(ReadOnlySpan<byte> a, ReadOnlySpan<sbyte> w, int m, int k, int n, int zeroPoint, ReadOnlySpan<int> bias, Span<int> c)
    {
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++)
                c[i * n + j] = unchecked((int)(Accumulate(a, w, k, n, i, j, zeroPoint) + (bias.IsEmpty ? 0 : bias[j])));
    }

    /// <summary>c = requantize((acc + bias) · multiplier), see <see cref="Requantize"/>.</summary>
    public static void Requantized(
        ReadOnlySpan<byte> a, ReadOnlySpan<sbyte> w, int m, int k, int n, int zeroPoint, ReadOnlySpan<int> bias, ReadOnlySpan<float> multipliers,
        int outputZeroPoint, int clampMin, int clampMax, Span<byte> c)
    {
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++)
            {
                long acc = Accumulate(a, w, k, n, i, j, zeroPoint) + (bias.IsEmpty ? 0 : bias[j]);
                c[i * n + j] = Requantize(acc, multipliers[j], outputZeroPoint, clampMin - outputZeroPoint, clampMax - outputZeroPoint);
            }
    }

    /// <summary>c = ((float)acc · Sa) · Sw + b, each step rounded to float32; Sa and Za have 1 or m elements.</summary>
    public static void Float(
        ReadOnlySpan<byte> a, ReadOnlySpan<sbyte> w, int m, int k, int n, ReadOnlySpan<float> rowScales, ReadOnlySpan<int> rowZeroPoints,
        ReadOnlySpan<float> columnScales, ReadOnlySpan<float> bias, Span<float> c)
    {
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++)
            {
                long acc = Accumulate(a, w, k, n, i, j, rowZeroPoints[rowZeroPoints.Length == 1 ? 0 : i]);
                c[i * n + j] = Scale(acc, rowScales[rowScales.Length == 1 ? 0 : i], columnScales[j], bias.IsEmpty ? 0f : bias[j]);
            }
    }

    /// <summary>
    /// v = (float)acc · multiplier; clamp v to [low, high], NaN becoming low; round half to even; add Z.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte Requantize(long acc, float multiplier, int zeroPoint, float low, float high)
    {
        float v = acc * multiplier;
        if (!(v >= low)) v = low;
        if (v > high) v = high;
        return unchecked((byte)((int)MathF.Round(v, MidpointRounding.ToEven) + zeroPoint));
    }

    /// <summary>((float)acc · Sa) · Sw + b without a fused multiply-add.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Scale(long acc, float rowScale, float columnScale, float bias)
    {
        float scaled = acc * rowScale;
        scaled *= columnScale;
        return scaled + bias;
    }

    /// <summary>c = ((float)Σ (a[i, k] - Za) · (b[k, j] - Zb) · Sa) · Sb, both factors u8 codes with one scale and zero point each.</summary>
    public static void Pair(ReadOnlySpan<byte> a, AffineParameters aParameters, ReadOnlySpan<byte> b, AffineParameters bParameters, int m, int k, int n, Span<float> c)
    {
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++)
            {
                long sum = 0;
                for (int l = 0; l < k; l++) sum += (long)(a[(i * k) + l] - aParameters.ZeroPoint) * (b[(l * n) + j] - bParameters.ZeroPoint);
                c[(i * n) + j] = Scale(sum, aParameters.Scale, bParameters.Scale, 0);
            }
    }

    /// <summary>The step of a column of a right factor whose greatest magnitude is given: a 127th of it; 1 for 0, NaN where it is not finite.</summary>
    public static float SymmetricScale(float greatest)
    {
        float scale = greatest / 127f;
        return !float.IsFinite(scale) ? float.NaN : scale == 0 ? 1 : scale;
    }

    /// <summary>clamp(round(value / scale), -127, 127), NaN becoming -127.</summary>
    public static int SymmetricCode(float value, float scale) => Quantizer.Code(value, new(scale, 0), CodeGrid.Int8Narrow);
}
