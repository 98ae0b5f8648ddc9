using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Kernels;

/// <summary>What becomes of the sums of an intrinsics tile: the formulas of <see cref="NaiveInt8"/>, eight columns at a time.</summary>
internal static unsafe class OutputStages
{
    /// <param name="t">The tile.</param>
    /// <param name="sums">[rows, width].</param>
    /// <param name="rows">Rows of the tile.</param>
    /// <param name="width">Columns of the panel.</param>
    public static void Store(TileArguments* t, int* sums, int rows, int width)
    {
        byte* c = t->C;
        for (int i = 0; i < rows; i++, c += t->Ldc, sums += width)
        {
            switch (t->Stage)
            {
                case OutputStage.Int32:
                    Int32Row(t, sums, (int*)c);
                    break;
                case OutputStage.Requantized:
                    RequantizedRow(t, sums, c);
                    break;
                default:
                    FloatRow(t, sums, i, (float*)c);
                    break;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Int32Row(TileArguments* t, int* sums, int* c)
    {
        int j = 0, n = t->Columns;
        for (; j <= n - 8; j += 8) (Vector256.Load(sums + j) + Vector256.Load(t->Offsets + j)).Store(c + j);
        for (; j < n; j++) c[j] = sums[j] + t->Offsets[j];
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void RequantizedRow(TileArguments* t, int* sums, byte* c)
    {
        int j = 0, n = t->Columns;
        var low = Vector256.Create(t->Low);
        var high = Vector256.Create(t->High);
        var zeroPoint = Vector256.Create(t->ZeroPoint);
        for (; j <= n - 8; j += 8)
        {
            var v = Vector256.ConvertToSingle(Vector256.Load(sums + j) + Vector256.Load(t->Offsets + j)) * Vector256.Load(t->Scales + j);
            v = Vector256.ConditionalSelect(Vector256.GreaterThanOrEqual(v, low), v, low); // NaN too becomes the lower end
            v = Vector256.ConditionalSelect(Vector256.GreaterThan(v, high), high, v);
            var q = Vector256.ConvertToInt32(Vector256.Round(v)) + zeroPoint;
            // -128 .. 255 in int32: the lowest byte of each is the code, signed or not.
            var words = Vector128.Narrow(q.GetLower(), q.GetUpper());
            Vector128.Narrow(words.AsUInt16(), words.AsUInt16()).GetLower().Store(c + j);
        }
        for (; j < n; j++) c[j] = NaiveInt8.Requantize(sums[j] + t->Offsets[j], t->Scales[j], t->ZeroPoint, t->Low, t->High);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FloatRow(TileArguments* t, int* sums, int row, float* c)
    {
        int j = 0, n = t->Columns;
        float scale = *(float*)((byte*)t->RowScales + (row * t->RowScaleStep));
        int zeroPoint = *(int*)((byte*)t->RowZeroPoints + (row * t->RowZeroPointStep));
        var scales = Vector256.Create(scale);
        var zeroPoints = Vector256.Create(zeroPoint);
        for (; j <= n - 8; j += 8)
        {
            var acc = Vector256.Load(sums + j) + Vector256.Load(t->Offsets + j) - (zeroPoints * Vector256.Load(t->ColumnSums + j));
            var v = Vector256.ConvertToSingle(acc) * scales;
            v *= Vector256.Load(t->Scales + j);
            (v + Vector256.Load(t->Bias + j)).Store(c + j);
        }
        for (; j < n; j++)
            c[j] = NaiveInt8.Scale(sums[j] + t->Offsets[j] - (zeroPoint * t->ColumnSums[j]), scale, t->Scales[j], t->Bias[j]);
    }
}
