using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Kernels;

/// <summary>How a factor of a <see cref="StaticPair"/> comes.</summary>
internal enum FactorType
{
    /// <summary>float32, which is quantized to u8 on the way.</summary>
    Float,

    UInt8,

    Int8,
}

/// <summary>
/// Factors of codes with one scale and zero point each, as <see cref="NaiveInt8.Pair"/> defines it. B's codes come to lie 128 lower, as
/// s8, its zero point Zb with them: Σ (a - Za)(b - Zb) = Σ a·b - Za · Σ b - Zb · (Σ a - k · Za), the first correction known by column, the
/// second by row.
/// </summary>
/// <param name="k">0 to <see cref="MostK"/>.</param>
/// <param name="n">Columns of B.</param>
/// <param name="a">How A comes.</param>
/// <param name="aParameters">Of A's codes, u8 or s8 as they come; of u8 codes for float32.</param>
/// <param name="b">How B comes.</param>
/// <param name="bParameters">Of B's codes.</param>
/// <param name="kernel">Null: <see cref="Int8Gemm.Best"/>.</param>
internal sealed unsafe class StaticPair(int k, int n, FactorType a, AffineParameters aParameters, FactorType b, AffineParameters bParameters, Int8Kernel? kernel = null) : Int8Pair(k, n, kernel)
{
    /// <summary>Up to here 255 · 255 · k fits int32.</summary>
    public const int MostK = 33025;

    private readonly AffineParameters _a = a == FactorType.Int8 ? aParameters with { ZeroPoint = aParameters.ZeroPoint + 128 } : aParameters;

    private readonly int _bZero = b == FactorType.Int8 ? bParameters.ZeroPoint : bParameters.ZeroPoint - 128;

    public override void Pack(byte* from, long stride, bool transposed, byte* packed, byte* scratch)
    {
        int* sums = Sums(packed), offsets = Offsets(packed);
        ClearBias(packed);
        new Span<float>(Scales(packed), Layout.PaddedN).Fill(bParameters.Scale);
        if (transposed)
        {
            for (int j = 0; j < N; j++)
            {
                byte* to = scratch + (j * ColumnStride);
                Signed(from, j * stride, K, to);
                PadColumn((sbyte*)to);
            }
            PairPacker.Columns(Layout, (sbyte*)scratch, ColumnStride, packed, sums);
        }
        else if (b == FactorType.Float) PairPacker.Rows(Layout, new AffineCodes((float*)from, stride, bParameters), packed, sums);
        else PairPacker.Rows(Layout, new StoredCodes(from, stride, Flip), packed, sums);
        for (int j = 0; j < Layout.PaddedN; j++)
        {
            offsets[j] = unchecked(Layout.Kernel.FormOffset(sums[j]) - (_a.ZeroPoint * sums[j]));
            sums[j] = 1;
        }
    }

    private byte Flip => b == FactorType.Int8 ? (byte)0 : (byte)0x80;

    /// <summary>Elements of B as s8 codes.</summary>
    private void Signed(byte* from, long at, int count, byte* codes)
    {
        if (b == FactorType.Float) Quantizer.Quantize(new ReadOnlySpan<float>((float*)from + at, count), bParameters, new Span<byte>(codes, count));
        else Buffer.MemoryCopy(from + at, codes, count, count);
        int i = 0;
        for (; i <= count - 16; i += 16) (Vector128.Load(codes + i) ^ Vector128.Create(Flip)).Store(codes + i);
        for (; i < count; i++) codes[i] ^= Flip;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Multiply(byte* from, long stride, int rows, byte* packed, float* c, long cStride, byte* scratch)
    {
        float scale = _a.Scale;
        int* zeroPoints = RowZeroPoints(scratch, rows);
        byte* codes = RowCodes(scratch, rows), to = codes, one = OneRow(scratch, rows);
        var form = Layout.Kernel.Form;
        bool inPlace = a == FactorType.UInt8 && form == ActivationForm.Bytes && K % Layout.Kernel.GroupSize == 0;
        for (int i = 0; i < rows; i++, to += RowStride)
        {
            byte* row = from + (i * stride);
            if (a == FactorType.Float)
            {
                row = form == ActivationForm.Bytes ? to : one;
                Quantizer.Quantize(new ReadOnlySpan<float>((float*)from + (i * stride), K), _a, new Span<byte>(row, K));
            }
            if (a == FactorType.Int8) ActivationRows.CopySignedRun(form, row, K, to);
            else if (row != to && !inPlace) ActivationRows.CopyRun(form, row, K, to);
            if (!inPlace) PadRow(to);
            zeroPoints[i] = _bZero == 0 ? 0 : unchecked(_bZero * (SumOf(row, K, a == FactorType.Int8) - (K * _a.ZeroPoint)));
        }
        RunTiles(inPlace ? from : codes, inPlace ? stride : RowStride, rows, packed, c, cStride, &scale, 0, zeroPoints);
    }

    /// <summary>Σ of codes as u8, s8 codes lying 128 higher.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int SumOf(byte* codes, int count, bool signed)
    {
        byte flip = signed ? (byte)0x80 : (byte)0;
        int at = 0, sum = 0;
        var sums = Vector128<uint>.Zero;
        for (; at <= count - 16; at += 16)
        {
            var v = Vector128.Load(codes + at) ^ Vector128.Create(flip);
            var words = Vector128.WidenLower(v) + Vector128.WidenUpper(v);
            sums += Vector128.WidenLower(words) + Vector128.WidenUpper(words);
        }
        for (; at < count; at++) sum += codes[at] ^ flip;
        return sum + (int)Vector128.Sum(sums);
    }
}
