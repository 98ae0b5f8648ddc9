using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Kernels;

/// <summary>1 to 6 rows times two vectors of columns, all sums in registers over the whole of k.</summary>
internal static unsafe class FloatTile
{
    internal struct Arguments
    {
        public float* A;

        /// <summary>Elements from one row of A to the next.</summary>
        public long Lda;

        public float* B;
        public float* Bias;
        public float* C;
        public int K;
        public int N;
        public int Rows;
        public int Columns;
    }

    public static delegate*<Arguments*, void> For(FloatTier tier) => tier.Lanes switch
    {
        16 => &Run<Lanes512, Vector512<float>, Vector512<int>>,
        8 => &Run<Lanes256, Vector256<float>, Vector256<int>>,
        4 => &Run<Lanes128, Vector128<float>, Vector128<int>>,
        _ => &Run<LanesScalar, float, int>,
    };

    private static void Run<TLanes, TFloats, TInts>(Arguments* t) where TLanes : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        switch (t->Rows)
        {
            case 1: Run<TLanes, TFloats, TInts, C1>(t); break;
            case 2: Run<TLanes, TFloats, TInts, C2>(t); break;
            case 3: Run<TLanes, TFloats, TInts, C3>(t); break;
            case 4: Run<TLanes, TFloats, TInts, C4>(t); break;
            case 5: Run<TLanes, TFloats, TInts, C5>(t); break;
            default: Run<TLanes, TFloats, TInts, C6>(t); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    private static void Run<TLanes, TFloats, TInts, TRows>(Arguments* t)
        where TLanes : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged where TRows : ICount
    {
        TFloats s0 = TLanes.Create(0f), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, u0 = s0, u1 = s0, u2 = s0, u3 = s0, u4 = s0, u5 = s0;
        float* a = t->A, b = t->B;
        long lda = t->Lda;
        float* a3 = a + (3 * lda);
        for (long l = t->K; l > 0; l--)
        {
            TFloats v = TLanes.Load(b), w = TLanes.Load(b + TLanes.Count);
            b += 2 * TLanes.Count;
            Add<TLanes, TFloats, TInts>(ref s0, ref u0, *a, v, w);
            if (TRows.Value > 1) Add<TLanes, TFloats, TInts>(ref s1, ref u1, a[lda], v, w);
            if (TRows.Value > 2) Add<TLanes, TFloats, TInts>(ref s2, ref u2, a[2 * lda], v, w);
            if (TRows.Value > 3) Add<TLanes, TFloats, TInts>(ref s3, ref u3, *a3, v, w);
            if (TRows.Value > 4) Add<TLanes, TFloats, TInts>(ref s4, ref u4, a3[lda], v, w);
            if (TRows.Value > 5) Add<TLanes, TFloats, TInts>(ref s5, ref u5, a3[2 * lda], v, w);
            a++;
            if (TRows.Value > 3) a3++;
        }
        int columns = t->Columns, first = Math.Min(columns, TLanes.Count), second = columns - first;
        if (t->Bias is not null)
        {
            TFloats v = TLanes.LoadFirst(t->Bias, first, TLanes.Create(0f)), w = TLanes.LoadFirst(t->Bias + TLanes.Count, second, TLanes.Create(0f));
            (s0, u0) = (TLanes.Add(s0, v), TLanes.Add(u0, w));
            (s1, u1) = (TLanes.Add(s1, v), TLanes.Add(u1, w));
            (s2, u2) = (TLanes.Add(s2, v), TLanes.Add(u2, w));
            (s3, u3) = (TLanes.Add(s3, v), TLanes.Add(u3, w));
            (s4, u4) = (TLanes.Add(s4, v), TLanes.Add(u4, w));
            (s5, u5) = (TLanes.Add(s5, v), TLanes.Add(u5, w));
        }
        float* c = t->C;
        long step = t->N;
        if (second == TLanes.Count)
        {
            Put<TLanes, TFloats, TInts>(c, s0, u0);
            if (TRows.Value > 1) Put<TLanes, TFloats, TInts>(c + step, s1, u1);
            if (TRows.Value > 2) Put<TLanes, TFloats, TInts>(c + (2 * step), s2, u2);
            if (TRows.Value > 3) Put<TLanes, TFloats, TInts>(c + (3 * step), s3, u3);
            if (TRows.Value > 4) Put<TLanes, TFloats, TInts>(c + (4 * step), s4, u4);
            if (TRows.Value > 5) Put<TLanes, TFloats, TInts>(c + (5 * step), s5, u5);
            return;
        }
        PutFirst<TLanes, TFloats, TInts>(c, s0, u0, first, second);
        if (TRows.Value > 1) PutFirst<TLanes, TFloats, TInts>(c + step, s1, u1, first, second);
        if (TRows.Value > 2) PutFirst<TLanes, TFloats, TInts>(c + (2 * step), s2, u2, first, second);
        if (TRows.Value > 3) PutFirst<TLanes, TFloats, TInts>(c + (3 * step), s3, u3, first, second);
        if (TRows.Value > 4) PutFirst<TLanes, TFloats, TInts>(c + (4 * step), s4, u4, first, second);
        if (TRows.Value > 5) PutFirst<TLanes, TFloats, TInts>(c + (5 * step), s5, u5, first, second);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<TLanes, TFloats, TInts>(ref TFloats s, ref TFloats u, float a, TFloats v, TFloats w)
        where TLanes : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        var x = TLanes.Create(a);
        s = TLanes.Fma(x, v, s);
        u = TLanes.Fma(x, w, u);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put<TLanes, TFloats, TInts>(float* c, TFloats s, TFloats u)
        where TLanes : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        TLanes.Store(s, c);
        TLanes.Store(u, c + TLanes.Count);
    }

    /// <summary>The columns that there are of a panel that is not full.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PutFirst<TLanes, TFloats, TInts>(float* c, TFloats s, TFloats u, int first, int second)
        where TLanes : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        TLanes.StoreFirst(s, c, first);
        TLanes.StoreFirst(u, c + TLanes.Count, second);
    }
}
