using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// The tile loop of every intrinsics tier: 1 to 12 rows times 1 or 2 vectors of columns, all sums in registers over the whole of k, then
/// the output stage. Rows and vectors are known to the compiler, which drops what a smaller tile does not have.
/// </summary>
/// <remarks>
/// Row r is read through base pointer r / 3 with 0, 1 or 2 times the row stride, the forms that addressing has for free. Without
/// AggressiveOptimization the loop would run unoptimized until the runtime replaces it.
/// </remarks>
internal static unsafe class Int8Tile<TDot, TSums, TOperand, TRows, TVectors>
    where TDot : IInt8Dot<TSums, TOperand>
    where TSums : unmanaged
    where TOperand : unmanaged
    where TRows : ICount
    where TVectors : ICount
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    public static void Run(TileArguments* t)
    {
        TSums s0 = default, s1 = default, s2 = default, s3 = default, s4 = default, s5 = default, s6 = default, s7 = default, s8 = default, s9 = default, s10 = default, s11 = default;
        TSums u0 = default, u1 = default, u2 = default, u3 = default, u4 = default, u5 = default, u6 = default, u7 = default, u8 = default, u9 = default, u10 = default, u11 = default;
        long stride = t->Lda;
        int step = TDot.Group * (TDot.Form == ActivationForm.Words ? 2 : 1);
        byte* a0 = t->A;
        byte* a3 = a0 + (3 * stride), a6 = a3 + (3 * stride), a9 = a6 + (3 * stride);
        sbyte* b = t->B;
        long* jumps = t->Jumps;
        long groups = jumps == null ? t->Groups : t->SegmentGroups;
        while (true)
        {
            for (long g = groups; g > 0; g--)
            {
                var w = TDot.LoadWeights(b);
                var v = TVectors.Value > 1 ? TDot.LoadWeights(b + (TDot.Lanes * TDot.Group)) : default;
                b += TDot.Lanes * TDot.Group * TVectors.Value;
                Add(ref s0, ref u0, a0, w, v);
                if (TRows.Value > 1) Add(ref s1, ref u1, a0 + stride, w, v);
                if (TRows.Value > 2) Add(ref s2, ref u2, a0 + (2 * stride), w, v);
                if (TRows.Value > 3) Add(ref s3, ref u3, a3, w, v);
                if (TRows.Value > 4) Add(ref s4, ref u4, a3 + stride, w, v);
                if (TRows.Value > 5) Add(ref s5, ref u5, a3 + (2 * stride), w, v);
                if (TRows.Value > 6) Add(ref s6, ref u6, a6, w, v);
                if (TRows.Value > 7) Add(ref s7, ref u7, a6 + stride, w, v);
                if (TRows.Value > 8) Add(ref s8, ref u8, a6 + (2 * stride), w, v);
                if (TRows.Value > 9) Add(ref s9, ref u9, a9, w, v);
                if (TRows.Value > 10) Add(ref s10, ref u10, a9 + stride, w, v);
                if (TRows.Value > 11) Add(ref s11, ref u11, a9 + (2 * stride), w, v);
                a0 += step;
                if (TRows.Value > 3) a3 += step;
                if (TRows.Value > 6) a6 += step;
                if (TRows.Value > 9) a9 += step;
            }
            if (jumps == null) break;
            long jump = *jumps++;
            if (jump == TileArguments.LastJump) break;
            a0 += jump;
            a3 += jump;
            a6 += jump;
            a9 += jump;
        }

        TSums* sums = stackalloc TSums[TRows.Value * TVectors.Value];
        Put(sums, 0, s0, u0);
        if (TRows.Value > 1) Put(sums, 1, s1, u1);
        if (TRows.Value > 2) Put(sums, 2, s2, u2);
        if (TRows.Value > 3) Put(sums, 3, s3, u3);
        if (TRows.Value > 4) Put(sums, 4, s4, u4);
        if (TRows.Value > 5) Put(sums, 5, s5, u5);
        if (TRows.Value > 6) Put(sums, 6, s6, u6);
        if (TRows.Value > 7) Put(sums, 7, s7, u7);
        if (TRows.Value > 8) Put(sums, 8, s8, u8);
        if (TRows.Value > 9) Put(sums, 9, s9, u9);
        if (TRows.Value > 10) Put(sums, 10, s10, u10);
        if (TRows.Value > 11) Put(sums, 11, s11, u11);
        OutputStages.Store(t, (int*)sums, TRows.Value, TDot.Lanes * TVectors.Value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(ref TSums s, ref TSums u, byte* a, TOperand w, TOperand v)
    {
        var x = TDot.Broadcast(a);
        s = TDot.Accumulate(s, x, w);
        if (TVectors.Value > 1) u = TDot.Accumulate(u, x, v);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(TSums* sums, int row, TSums s, TSums u)
    {
        sums[row * TVectors.Value] = s;
        if (TVectors.Value > 1) sums[(row * TVectors.Value) + 1] = u;
    }
}
