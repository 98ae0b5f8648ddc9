using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Kernels;

/// <summary>The s8 codes of a right factor.</summary>
internal interface ICodes
{
    int One(long row, int column);
}

/// <summary>Codes that can be read eight columns at a time.</summary>
internal interface ICodeRows : ICodes
{
    Vector256<int> Eight(long row, int column);
}

/// <summary>
/// clamp(round(b / S), -127, 127) with a scale for each column; -127 for NaN. The sum with 1.5 · 2^23 leaves the rounded integer in the low bits.
/// </summary>
/// <param name="b">[k, n].</param>
/// <param name="stride">From one row to the next.</param>
/// <param name="scales">n, or one for all columns where <paramref name="step"/> is 0.</param>
/// <param name="step">1 or 0.</param>
internal readonly unsafe struct SymmetricCodes(float* b, long stride, float* scales, int step) : ICodeRows
{
    private const float Rounder = 12582912;

    private const int RounderBits = 0x4B400000, Most = 127;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector256<int> Eight(long row, int column)
    {
        var v = Vector256.Load(b + (row * stride) + column) / (step == 0 ? Vector256.Create(*scales) : Vector256.Load(scales + column));
        v = Vector256.ConditionalSelect(Vector256.GreaterThanOrEqual(v, Vector256.Create(-(float)Most)), v, Vector256.Create(-(float)Most));
        v = Vector256.ConditionalSelect(Vector256.GreaterThan(v, Vector256.Create((float)Most)), Vector256.Create((float)Most), v);
        return (v + Vector256.Create(Rounder)).AsInt32() - Vector256.Create(RounderBits);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int One(long row, int column) => NaiveInt8.SymmetricCode(b[(row * stride) + column], scales[column * step]);
}

/// <summary>Codes as they are, s8 once some bits of each are changed.</summary>
/// <param name="b">[k, n].</param>
/// <param name="stride">From one row to the next.</param>
/// <param name="flip">0x80 for u8 codes, which so come to lie 128 lower; 0 for s8.</param>
internal readonly unsafe struct StoredCodes(byte* b, long stride, byte flip) : ICodeRows
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector256<int> Eight(long row, int column)
    {
        var codes = Vector128.CreateScalar(*(long*)(b + (row * stride) + column)).AsByte() ^ Vector128.Create(flip);
        var words = Vector128.WidenLower(codes.AsSByte());
        return Vector256.Create(Vector128.WidenLower(words), Vector128.WidenUpper(words));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int One(long row, int column) => (sbyte)(b[(row * stride) + column] ^ flip);
}

/// <summary>Codes whose columns lie together.</summary>
/// <param name="b">The first column that there is, [n, k].</param>
/// <param name="stride">From one column to the next.</param>
/// <param name="first">The number of that column.</param>
internal readonly unsafe struct StoredColumns(byte* b, long stride, int first) : ICodes
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int One(long row, int column) => (sbyte)b[((column - first) * stride) + row];
}

/// <summary>The u8 codes of float32 as <see cref="Quantizer"/> gives them, less 128.</summary>
/// <param name="b">[k, n].</param>
/// <param name="stride">From one row to the next.</param>
/// <param name="parameters">Of the u8 codes.</param>
internal readonly unsafe struct AffineCodes(float* b, long stride, AffineParameters parameters) : ICodeRows
{
    private const float Rounder = 12582912;

    private const int RounderBits = 0x4B400000;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector256<int> Eight(long row, int column)
    {
        var v = Vector256.Load(b + (row * stride) + column) / Vector256.Create(parameters.Scale);
        Vector256<float> low = Vector256.Create(-(float)parameters.ZeroPoint), high = Vector256.Create(255f - parameters.ZeroPoint);
        v = Vector256.ConditionalSelect(Vector256.GreaterThanOrEqual(v, low), v, low);
        v = Vector256.ConditionalSelect(Vector256.GreaterThan(v, high), high, v);
        return (v + Vector256.Create(Rounder)).AsInt32() + Vector256.Create(parameters.ZeroPoint - 128 - RounderBits);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int One(long row, int column) => Quantizer.Code(b[(row * stride) + column], parameters, CodeGrid.UInt8) - 128;
}
