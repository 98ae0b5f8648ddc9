using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MLNet.Quantization.Numerics;

/// <summary>
/// q = saturate(round(r / S) + Z) and r = S · (q - Z), the affine map of ONNX's QuantizeLinear and DequantizeLinear. The quotient is that of
/// one float32 division; it is clamped to the grid before it is rounded (half to even) and Z is added after, which gives infinity the
/// grid's end and NaN its lowest code on every instruction set.
/// </summary>
internal static class Quantizer
{
    /// <summary>Added to a float32 of small magnitude, it leaves the value, rounded half to even, in the low bits: 1.5 · 2^23.</summary>
    private const float Rounder = 12582912;

    private const int RounderBits = 0x4B400000;

    /// <summary>The code of one value: the definition that all else agrees with.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Code(float value, AffineParameters parameters, CodeGrid grid)
    {
        float v = value / parameters.Scale, low = grid.Min - parameters.ZeroPoint, high = grid.Max - parameters.ZeroPoint;
        if (!(v >= low)) v = low;
        if (v > high) v = high;
        return (int)MathF.Round(v, MidpointRounding.ToEven) + parameters.ZeroPoint;
    }

    /// <summary>The value of one code.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Value(int code, AffineParameters parameters) => parameters.Scale * (code - parameters.ZeroPoint);

    /// <summary>u8 codes on the whole of 0 to 255.</summary>
    /// <param name="values">n.</param>
    /// <param name="parameters">Zero point 0 to 255.</param>
    /// <param name="codes">n.</param>
    public static void Quantize(ReadOnlySpan<float> values, AffineParameters parameters, Span<byte> codes) =>
        Quantize(values, parameters, CodeGrid.UInt8, codes);

    /// <summary>s8 codes.</summary>
    /// <param name="values">n.</param>
    /// <param name="parameters">Zero point within <paramref name="grid"/>.</param>
    /// <param name="codes">n.</param>
    /// <param name="grid">Within -128 to 127; null: all of it.</param>
    public static void Quantize(ReadOnlySpan<float> values, AffineParameters parameters, Span<sbyte> codes, CodeGrid? grid = null) =>
        Quantize(values, parameters, grid ?? CodeGrid.Int8, MemoryMarshal.AsBytes(codes));

    /// <summary>The values of u8 codes.</summary>
    public static void Dequantize(ReadOnlySpan<byte> codes, AffineParameters parameters, Span<float> values) =>
        Dequantize(codes, 0, parameters, values);

    /// <summary>The values of s8 codes.</summary>
    public static void Dequantize(ReadOnlySpan<sbyte> codes, AffineParameters parameters, Span<float> values) =>
        Dequantize(MemoryMarshal.AsBytes(codes), SignBit, new(parameters.Scale, parameters.ZeroPoint + SignBit), values);

    /// <summary>With its top bit changed, an s8 code is the u8 code that lies 128 higher.</summary>
    private const byte SignBit = 128;

    /// <param name="codes">n.</param>
    /// <param name="flip">Bits to change in each code, which makes it u8.</param>
    /// <param name="parameters">Of the u8 codes.</param>
    /// <param name="values">n. Memory sets the pace: a wider vector would gain nothing.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Dequantize(ReadOnlySpan<byte> codes, byte flip, AffineParameters parameters, Span<float> values)
    {
        CheckLengths(codes.Length, values.Length);
        ref byte from = ref MemoryMarshal.GetReference(codes);
        ref float to = ref MemoryMarshal.GetReference(values);
        var scale = Vector128.Create(parameters.Scale);
        var zero = Vector128.Create(parameters.ZeroPoint);
        int i = 0;
        for (; i <= codes.Length - 16; i += 16)
        {
            var (low, high) = Vector128.Widen(Vector128.LoadUnsafe(ref from, (nuint)i) ^ Vector128.Create(flip));
            var (c0, c1) = Vector128.Widen(low);
            var (c2, c3) = Vector128.Widen(high);
            (scale * Vector128.ConvertToSingle(c0.AsInt32() - zero)).StoreUnsafe(ref to, (nuint)i);
            (scale * Vector128.ConvertToSingle(c1.AsInt32() - zero)).StoreUnsafe(ref to, (nuint)i + 4);
            (scale * Vector128.ConvertToSingle(c2.AsInt32() - zero)).StoreUnsafe(ref to, (nuint)i + 8);
            (scale * Vector128.ConvertToSingle(c3.AsInt32() - zero)).StoreUnsafe(ref to, (nuint)i + 12);
        }
        for (; i < codes.Length; i++) values[i] = Value(codes[i] ^ flip, parameters);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Quantize(ReadOnlySpan<float> values, AffineParameters parameters, CodeGrid grid, Span<byte> codes)
    {
        CheckLengths(values.Length, codes.Length);
        if (grid.Min > parameters.ZeroPoint || grid.Max < parameters.ZeroPoint)
            throw new ArgumentException($"Zero point {parameters.ZeroPoint} lies outside [{grid.Min}, {grid.Max}].", nameof(parameters));
        int i = 0, offset = unchecked(parameters.ZeroPoint - RounderBits);
        float low = grid.Min - parameters.ZeroPoint, high = grid.Max - parameters.ZeroPoint;
        ref float from = ref MemoryMarshal.GetReference(values);
        ref byte to = ref MemoryMarshal.GetReference(codes);
        if (Avx512F.IsSupported && values.Length >= Vector512<float>.Count && parameters.Scale is > LeastFast and < MostFast)
        {
            Quantize512(ref from, values.Length, parameters, low, high, ref to);
            return;
        }
        if (Vector256.IsHardwareAccelerated)
        {
            for (; i <= values.Length - 32; i += 32)
                Vector256.Narrow(
                    Vector256.Narrow(Codes256(ref from, i, parameters.Scale, low, high, offset), Codes256(ref from, i + 8, parameters.Scale, low, high, offset)),
                    Vector256.Narrow(Codes256(ref from, i + 16, parameters.Scale, low, high, offset), Codes256(ref from, i + 24, parameters.Scale, low, high, offset)))
                    .AsByte().StoreUnsafe(ref to, (nuint)i);
        }
        for (; i <= values.Length - 16; i += 16)
            Vector128.Narrow(
                Vector128.Narrow(Codes128(ref from, i, parameters.Scale, low, high, offset), Codes128(ref from, i + 4, parameters.Scale, low, high, offset)),
                Vector128.Narrow(Codes128(ref from, i + 8, parameters.Scale, low, high, offset), Codes128(ref from, i + 12, parameters.Scale, low, high, offset)))
                .AsByte().StoreUnsafe(ref to, (nuint)i);
        for (; i < values.Length; i++) codes[i] = (byte)Code(values[i], parameters, grid);
    }

    /// <summary>What does not fill a vector at the end is quantized together with values before it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Quantize512(ref float from, int count, AffineParameters parameters, float low, float high, ref byte to)
    {
        // Far beyond every grid, and near enough for the quotient to stay exact. A NaN becomes its second operand.
        float far = 1024 * parameters.Scale;
        Vector512<float> most = Vector512.Create(far), least = Vector512.Create(-far), lows = Vector512.Create(low), highs = Vector512.Create(high);
        Vector512<float> scales = Vector512.Create(parameters.Scale), reciprocals = Vector512.Create(1f / parameters.Scale);
        var zeroPoints = Vector512.Create(parameters.ZeroPoint);
        int last = count - Vector512<float>.Count;
        for (int i = 0; i < count; i += Vector512<float>.Count)
        {
            int at = Math.Min(i, last);
            var v = Vector512.MinNative(Vector512.MaxNative(Vector512.LoadUnsafe(ref from, (nuint)at), least), most);
            v = Vector512.MinNative(Vector512.MaxNative(Quotient512(v, scales, reciprocals), lows), highs);
            Avx512F.ConvertToVector128Byte(Avx512F.ConvertToVector512Int32(v) + zeroPoints).StoreUnsafe(ref to, (nuint)at);
        }
    }

    /// <summary>Scales between which neither 1 / S nor the remainder of <see cref="Quotient512"/> leaves the normal floats.</summary>
    internal const float LeastFast = 1e-18f, MostFast = 1e18f;

    /// <summary>
    /// x / S, correctly rounded, as q = x · y with y = 1 / S, then q + (x - q · S) · y, both fused: Brisebarre, Muller and Raina,
    /// "Accelerating correctly rounded floating-point division when the divisor is known in advance" (2004). A third of a division's time.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> Quotient512(Vector512<float> x, Vector512<float> scales, Vector512<float> reciprocals)
    {
        var quotient = x * reciprocals;
        var remainder = Avx512F.FusedMultiplyAddNegated(quotient, scales, x);
        return Avx512F.FusedMultiplyAdd(remainder, reciprocals, quotient);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Codes256(ref float from, int at, float scale, float low, float high, int offset)
    {
        var v = Vector256.LoadUnsafe(ref from, (nuint)at) / Vector256.Create(scale);
        v = Vector256.ConditionalSelect(Vector256.GreaterThanOrEqual(v, Vector256.Create(low)), v, Vector256.Create(low));
        v = Vector256.ConditionalSelect(Vector256.GreaterThan(v, Vector256.Create(high)), Vector256.Create(high), v);
        return (v + Vector256.Create(Rounder)).AsInt32() + Vector256.Create(offset);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Codes128(ref float from, int at, float scale, float low, float high, int offset)
    {
        var v = Vector128.LoadUnsafe(ref from, (nuint)at) / Vector128.Create(scale);
        v = Vector128.ConditionalSelect(Vector128.GreaterThanOrEqual(v, Vector128.Create(low)), v, Vector128.Create(low));
        v = Vector128.ConditionalSelect(Vector128.GreaterThan(v, Vector128.Create(high)), Vector128.Create(high), v);
        return (v + Vector128.Create(Rounder)).AsInt32() + Vector128.Create(offset);
    }

    private static void CheckLengths(int from, int to)
    {
        if (from != to) throw new ArgumentException($"{from} elements do not map to {to}.");
    }
}
