using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// Factors of float32 that are quantized on the way: each row of A to u8 by its own range (<see cref="RowQuantizer"/>), each column of B
/// to s8 by its greatest magnitude (<see cref="NaiveInt8.SymmetricScale"/>). Where a row or a column holds NaN or infinity, its results are NaN.
/// </summary>
internal sealed unsafe class DynamicPair(int k, int n, Int8Kernel? kernel = null) : Int8Pair(k, n, kernel)
{
    /// <summary>Up to here sums are exact in int32.</summary>
    public const int MostK = Int8Product.MaxExactK;

    public override void Pack(byte* b, long stride, bool transposed, byte* packed, byte* scratch)
    {
        float* from = (float*)b, scales = Scales(packed);
        int* sums = Sums(packed), offsets = Offsets(packed);
        ClearBias(packed);
        new Span<float>(scales, Layout.PaddedN).Clear();
        if (transposed) PackColumns(from, stride, packed, (sbyte*)scratch);
        else
        {
            ColumnScales(from, stride, scales);
            PairPacker.Rows(Layout, new SymmetricCodes(from, stride, scales, 1), packed, sums);
        }
        for (int j = 0; j < Layout.PaddedN; j++) offsets[j] = Layout.Kernel.FormOffset(sums[j]);
    }

    private void PackColumns(float* from, long stride, byte* packed, sbyte* codes)
    {
        float* scales = Scales(packed);
        for (int j = 0; j < N; j++) scales[j] = GreatestMagnitude(from + (j * stride), K);
        for (int j = 0; j < N; j++) scales[j] = NaiveInt8.SymmetricScale(scales[j]);
        for (int j = 0; j < N; j++)
        {
            sbyte* to = codes + (j * ColumnStride);
            RowQuantizer.SymmetricCodes(from + (j * stride), K, scales[j], to);
            PadColumn(to);
        }
        PairPacker.Columns(Layout, codes, ColumnStride, packed, Sums(packed));
    }

    /// <summary>Without their sign, floats are in the order of their bits, infinity and then NaN above all.</summary>
    private const int Magnitude = int.MaxValue;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void ColumnScales(float* from, long stride, float* scales)
    {
        int j = 0;
        for (; j <= N - 8; j += 8)
        {
            var greatest = Vector256<int>.Zero;
            for (int l = 0; l < K; l++) greatest = Vector256.Max(greatest, Vector256.Load((int*)(from + (l * stride) + j)) & Vector256.Create(Magnitude));
            greatest.Store((int*)scales + j);
        }
        for (; j < N; j++)
        {
            int greatest = 0;
            for (int l = 0; l < K; l++) greatest = Math.Max(greatest, *(int*)(from + (l * stride) + j) & Magnitude);
            ((int*)scales)[j] = greatest;
        }
        for (j = 0; j < N; j++) scales[j] = NaiveInt8.SymmetricScale(scales[j]);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float GreatestMagnitude(float* x, int count)
    {
        int i = 0, greatest = 0;
        var greatests = Vector256<int>.Zero;
        for (; i <= count - 8; i += 8) greatests = Vector256.Max(greatests, Vector256.Load((int*)(x + i)) & Vector256.Create(Magnitude));
        for (; i < count; i++) greatest = Math.Max(greatest, *(int*)(x + i) & Magnitude);
        var four = Vector128.Max(greatests.GetLower(), greatests.GetUpper());
        greatest = Math.Max(greatest, Math.Max(Math.Max(four[0], four[1]), Math.Max(four[2], four[3])));
        return BitConverter.Int32BitsToSingle(greatest);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Multiply(byte* a, long stride, int rows, byte* packed, float* c, long cStride, byte* scratch)
    {
        float* x = (float*)a, scales = RowScales(scratch);
        int* zeroPoints = RowZeroPoints(scratch, rows);
        byte* codes = RowCodes(scratch, rows), to = codes, one = OneRow(scratch, rows);
        var form = Layout.Kernel.Form;
        if (form == ActivationForm.Bytes) RowQuantizer.Rows(x, stride, rows, K, codes, RowStride, scales, zeroPoints);
        for (int i = 0; i < rows; i++, x += stride, to += RowStride)
        {
            if (form != ActivationForm.Bytes)
            {
                RowQuantizer.Rows(x, K, 1, K, one, K, scales + i, zeroPoints + i);
                ActivationRows.CopyRun(form, one, K, to);
            }
            PadRow(to);
        }
        RunTiles(codes, RowStride, rows, packed, c, cStride, scales, 4, zeroPoints);
    }
}
