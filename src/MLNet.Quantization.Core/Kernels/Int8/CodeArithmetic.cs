using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// Sums and products of two tensors of 8-bit codes, as codes: y = clamp(round(v)) + Zy, where v is (a · Ma + b · Mb) + C for a sum, with
/// M = S / Sy and C = -(Za · Ma + Zb · Mb), and ((a - Za) · (b - Zb)) · M for a product, with M = (Sa · Sb) / Sy; each step in float32.
/// </summary>
internal readonly unsafe struct CodeArithmetic
{
    private readonly bool _isProduct;
    private readonly float _a, _b, _c, _low, _high;
    private readonly int _zeroA, _zeroB, _zero;
    private readonly byte _flipA, _flipB;

    private CodeArithmetic(bool isProduct, float a, float b, float c, in CodeOperand left, in CodeOperand right, in CodeOperand result, int clampMin, int clampMax)
    {
        (_isProduct, _a, _b, _c) = (isProduct, a, b, c);
        (_zeroA, _zeroB, _zero) = (left.UnsignedZero, right.UnsignedZero, result.ZeroPoint);
        (_flipA, _flipB) = (left.Flip, right.Flip);
        (_low, _high) = (clampMin - result.ZeroPoint, clampMax - result.ZeroPoint);
    }

    public static CodeArithmetic Sum(in CodeOperand a, in CodeOperand b, in CodeOperand y, int clampMin, int clampMax)
    {
        float ma = a.Scale / y.Scale, mb = b.Scale / y.Scale;
        return new(false, ma, mb, -((a.UnsignedZero * ma) + (b.UnsignedZero * mb)), a, b, y, clampMin, clampMax);
    }

    public static CodeArithmetic Product(in CodeOperand a, in CodeOperand b, in CodeOperand y, int clampMin, int clampMax) =>
        new(true, a.Scale * b.Scale / y.Scale, 0, 0, a, b, y, clampMin, clampMax);

    /// <param name="a">n codes, or 1 for all.</param>
    /// <param name="b">n codes, or 1 for all.</param>
    /// <param name="y">n codes.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, Span<byte> y)
    {
        int stepA = a.Length == 1 ? 0 : 1, stepB = b.Length == 1 ? 0 : 1, n = y.Length, i = 0;
        if (stepA == 1 && a.Length < n || stepB == 1 && b.Length < n) throw new ArgumentException($"{a.Length} and {b.Length} codes for {n} results.", nameof(y));
        fixed (byte* pa = a, pb = b, py = y)
        {
            if (Avx512F.IsSupported)
                for (; i <= n - 16; i += 16)
                    Store512(Combine512(Load512(pa, stepA * i, stepA, _flipA), Load512(pb, stepB * i, stepB, _flipB)), py + i);
            else if (Vector128.IsHardwareAccelerated)
                for (; i <= n - 8; i += 8) Store128(Load128(pa, stepA * i, stepA, _flipA), Load128(pb, stepB * i, stepB, _flipB), py + i);
            for (; i < n; i++) py[i] = One(pa[stepA * i] ^ _flipA, pb[stepB * i] ^ _flipB);
        }
    }

    /// <summary>The definition.</summary>
    private byte One(int a, int b)
    {
        float v;
        if (_isProduct) v = (float)((a - _zeroA) * (b - _zeroB)) * _a;
        else
        {
            float x = a * _a, y = b * _b;
            v = x + y;
            v += _c;
        }
        if (!(v >= _low)) v = _low;
        if (v > _high) v = _high;
        return unchecked((byte)((int)MathF.Round(v, MidpointRounding.ToEven) + _zero));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Load512(byte* from, int at, int step, byte flip) =>
        Avx512F.ConvertToVector512Int32((step == 0 ? Vector128.Create(*from) : Vector128.Load(from + at)) ^ Vector128.Create(flip));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector512<float> Combine512(Vector512<int> a, Vector512<int> b)
    {
        if (_isProduct) return Vector512.ConvertToSingle((a - Vector512.Create(_zeroA)) * (b - Vector512.Create(_zeroB))) * _a;
        var x = Vector512.ConvertToSingle(a) * _a;
        var y = Vector512.ConvertToSingle(b) * _b;
        return (x + y) + Vector512.Create(_c);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Store512(Vector512<float> v, byte* to)
    {
        v = Avx512F.Min(Avx512F.Max(v, Vector512.Create(_low)), Vector512.Create(_high));
        Avx512F.ConvertToVector128Byte((Avx512F.ConvertToVector512Int32(v) + Vector512.Create(_zero)).AsUInt32()).Store(to);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<ushort> Load128(byte* from, int at, int step, byte flip) =>
        Vector128.WidenLower((step == 0 ? Vector128.Create(*from) : Vector64.Load(from + at).ToVector128()) ^ Vector128.Create(flip));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Store128(Vector128<ushort> a, Vector128<ushort> b, byte* to)
    {
        var lower = Code128(Combine128(Vector128.WidenLower(a).AsInt32(), Vector128.WidenLower(b).AsInt32()));
        var upper = Code128(Combine128(Vector128.WidenUpper(a).AsInt32(), Vector128.WidenUpper(b).AsInt32()));
        var words = Vector128.Narrow(lower, upper).AsUInt16();
        Vector128.Narrow(words, words).GetLower().Store(to);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector128<float> Combine128(Vector128<int> a, Vector128<int> b)
    {
        if (_isProduct) return Vector128.ConvertToSingle((a - Vector128.Create(_zeroA)) * (b - Vector128.Create(_zeroB))) * _a;
        var x = Vector128.ConvertToSingle(a) * _a;
        var y = Vector128.ConvertToSingle(b) * _b;
        return (x + y) + Vector128.Create(_c);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector128<int> Code128(Vector128<float> v)
    {
        Vector128<float> low = Vector128.Create(_low), high = Vector128.Create(_high);
        v = Vector128.ConditionalSelect(Vector128.GreaterThanOrEqual(v, low), v, low);
        v = Vector128.ConditionalSelect(Vector128.GreaterThan(v, high), high, v);
        return Vector128.ConvertToInt32(Vector128.Round(v)) + Vector128.Create(_zero);
    }
}

/// <summary>What the codes of one operand mean.</summary>
/// <param name="Scale">Positive.</param>
/// <param name="ZeroPoint">In the grid of the codes.</param>
/// <param name="IsSigned">s8, else u8.</param>
internal readonly record struct CodeOperand(float Scale, int ZeroPoint, bool IsSigned)
{
    /// <summary>With its top bit changed, an s8 code is the u8 code that lies 128 higher.</summary>
    public byte Flip => IsSigned ? (byte)0x80 : (byte)0;

    public int UnsignedZero => IsSigned ? ZeroPoint + 128 : ZeroPoint;
}
