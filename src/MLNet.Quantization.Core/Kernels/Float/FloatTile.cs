using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Kernels;

/// <summary>1 to 6 rows times two vectors of columns, all sums in registers over the whole of k.</summary>
internal static unsafe class FloatTile
{
    internal struct Arguments
    {
        public float* A;
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
        long k = t->K;
        float* a3 = a + (3 * k);
        for (long l = k; l > 0; l--)
        {
            TFloats v = TLanes.Load(b), w = TLanes.Load(b + TLanes.Count);
            b += 2 * TLanes.Count;
            Add<TLanes, TFloats, TInts>(ref s0, ref u0, *a, v, w);
            if (TRows.Value > 1) Add<TLanes, TFloats, TInts>(ref s1, ref u1, a[k], v, w);
            if (TRows.Value > 2) Add<TLanes, TFloats, TInts>(ref s2, ref u2, a[2 * k], v, w);
            if (TRows.Value > 3) Add<TLanes, TFloats, TInts>(ref s3, ref u3, *a3, v, w);
            if (TRows.Value > 4) Add<TLanes, TFloats, TInts>(ref s4, ref u4, a3[k], v, w);
            if (TRows.Value > 5) Add<TLanes, TFloats, TInts>(ref s5, ref u5, a3[2 * k], v, w);
            a++;
            if (TRows.Value > 3) a3++;
        }
        Put<TLanes, TFloats, TInts>(t, 0, s0, u0);
        if (TRows.Value > 1) Put<TLanes, TFloats, TInts>(t, 1, s1, u1);
        if (TRows.Value > 2) Put<TLanes, TFloats, TInts>(t, 2, s2, u2);
        if (TRows.Value > 3) Put<TLanes, TFloats, TInts>(t, 3, s3, u3);
        if (TRows.Value > 4) Put<TLanes, TFloats, TInts>(t, 4, s4, u4);
        if (TRows.Value > 5) Put<TLanes, TFloats, TInts>(t, 5, s5, u5);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<TLanes, TFloats, TInts>(ref TFloats s, ref TFloats u, float a, TFloats v, TFloats w)
        where TLanes : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        var x = TLanes.Create(a);
        s = TLanes.Fma(x, v, s);
        u = TLanes.Fma(x, w, u);
    }

    [SkipLocalsInit]
    private static void Put<TLanes, TFloats, TInts>(Arguments* t, int row, TFloats s, TFloats u)
        where TLanes : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        float* c = t->C + ((long)row * t->N);
        if (t->Columns == 2 * TLanes.Count)
        {
            TLanes.Store(t->Bias is null ? s : TLanes.Add(s, TLanes.Load(t->Bias)), c);
            TLanes.Store(t->Bias is null ? u : TLanes.Add(u, TLanes.Load(t->Bias + TLanes.Count)), c + TLanes.Count);
            return;
        }
        float* sums = stackalloc float[2 * TLanes.Count];
        TLanes.Store(s, sums);
        TLanes.Store(u, sums + TLanes.Count);
        for (int j = 0; j < t->Columns; j++) c[j] = t->Bias is null ? sums[j] : sums[j] + t->Bias[j];
    }
}
