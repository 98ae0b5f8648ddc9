using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// Sums and the like of rows. Element i belongs to virtual lane i mod 16 whatever the vector width; the lanes are joined in halves, 16 to
/// 8 to 4 to 2 to 1. So every tier adds in one order and gives the same bits.
/// </summary>
internal static unsafe class FloatReductions
{
    public const int VirtualLanes = 16;

    /// <summary>Σ x; 0 of nothing.</summary>
    public static float Sum(ReadOnlySpan<float> x, FloatTier? tier = null) => x.IsEmpty ? 0 : Fold<AddFunction>(x, -0f, tier);

    /// <summary>The greatest element; NaN does not count; -infinity of nothing.</summary>
    public static float Max(ReadOnlySpan<float> x, FloatTier? tier = null) => Fold<MaxFunction>(x, float.NegativeInfinity, tier);

    /// <summary>The least element; NaN does not count; infinity of nothing.</summary>
    public static float Min(ReadOnlySpan<float> x, FloatTier? tier = null) => Fold<MinFunction>(x, float.PositiveInfinity, tier);

    /// <summary>Π x; 1 of nothing.</summary>
    public static float Product(ReadOnlySpan<float> x, FloatTier? tier = null) => Fold<MultiplyFunction>(x, 1, tier);

    /// <summary>max x + ln Σ e^(x - max x); -infinity of nothing.</summary>
    /// <param name="x">n.</param>
    /// <param name="scratch">n; may be <paramref name="x"/> itself.</param>
    /// <param name="tier">Null: <see cref="FloatTier.Best"/>.</param>
    public static float LogSumExp(ReadOnlySpan<float> x, Span<float> scratch, FloatTier? tier = null)
    {
        float max = Max(x, tier);
        // An infinite sum is that infinity; it would be subtracted from itself. NaN makes NaN.
        if (float.IsInfinity(max)) return x.ContainsAnyNaN() ? float.NaN : max;
        Elementwise.Map(new ShiftedExp(max), x, scratch, tier);
        return max + new LogFunction().Apply<LanesScalar, float, int>(Sum(scratch[..x.Length], tier));
    }

    private static bool ContainsAnyNaN(this ReadOnlySpan<float> x)
    {
        foreach (float element in x)
            if (float.IsNaN(element)) return true;
        return false;
    }

    /// <summary>y[j] = Σ over i of x[i, j]: each column as <see cref="Sum"/> adds it, columns side by side.</summary>
    /// <param name="x">[rows, n].</param>
    /// <param name="n">Columns.</param>
    /// <param name="y">[n].</param>
    /// <param name="scratch">16 · n.</param>
    /// <param name="tier">Null: <see cref="FloatTier.Best"/>.</param>
    public static void SumColumns(ReadOnlySpan<float> x, int n, Span<float> y, Span<float> scratch, FloatTier? tier = null)
    {
        int rows = n == 0 ? 0 : x.Length / n;
        if (rows == 0)
        {
            y[..n].Clear();
            return;
        }
        var lanes = scratch[..(VirtualLanes * n)];
        lanes.Fill(-0f);
        for (int i = 0; i < rows; i++)
        {
            var lane = lanes.Slice(i % VirtualLanes * n, n);
            Elementwise.Combine<AddFunction>(lane, x.Slice(i * n, n), lane, tier);
        }
        for (int half = VirtualLanes / 2; half > 0; half /= 2)
            for (int i = 0; i < half; i++) Elementwise.Combine<AddFunction>(lanes.Slice(i * n, n), lanes.Slice((i + half) * n, n), lanes.Slice(i * n, n), tier);
        lanes[..n].CopyTo(y);
    }

    /// <summary>y = e^(x - max x) / Σ e^(x - max x): one row.</summary>
    public static void Softmax(ReadOnlySpan<float> x, Span<float> y, FloatTier? tier = null) => FusedRows.Softmax(x, x.Length, y, tier);

    /// <summary>The same of each of many rows; short ones share the calls.</summary>
    /// <param name="x">[rows, n].</param>
    /// <param name="n">1 or more.</param>
    /// <param name="y">[rows, n]; may be <paramref name="x"/> itself.</param>
    /// <param name="tier">Null: <see cref="FloatTier.Best"/>.</param>
    [SkipLocalsInit]
    public static void SoftmaxRows(ReadOnlySpan<float> x, int n, Span<float> y, FloatTier? tier = null)
    {
        if (n > VirtualLanes / 2)
        {
            FusedRows.Softmax(x, n, y, tier);
            return;
        }
        for (int at = 0; at < x.Length; at += n)
        {
            float max = float.NegativeInfinity;
            for (int i = at; i < at + n; i++) max = One<MaxFunction>(max, x[i]);
            for (int i = at; i < at + n; i++) y[i] = x[i] - max;
        }
        Elementwise.Map(new ExpFunction(), y, y, tier);
        Span<float> lanes = stackalloc float[VirtualLanes];
        for (int at = 0; at < y.Length; at += n)
        {
            var row = y.Slice(at, n);
            row.CopyTo(lanes);
            // Lanes without an element hold -0, which changes no sum: joining them in halves leaves out those steps.
            for (int half = VirtualLanes / 4, count = n; half > 0; half /= 2)
            {
                for (int i = 0; i + half < count; i++) lanes[i] += lanes[i + half];
                count = Math.Min(count, half);
            }
            for (int i = 0; i < n; i++) row[i] /= lanes[0];
        }
    }

    /// <summary>y = x - max x - ln Σ e^(x - max x): one row.</summary>
    /// <param name="x">n.</param>
    /// <param name="y">n; may be <paramref name="x"/> itself.</param>
    /// <param name="scratch">n.</param>
    /// <param name="tier">Null: <see cref="FloatTier.Best"/>.</param>
    public static void LogSoftmax(ReadOnlySpan<float> x, Span<float> y, Span<float> scratch, FloatTier? tier = null)
    {
        float max = Max(x, tier), log = 0;
        Elementwise.Map(new ShiftedExp(max), x, scratch, tier);
        Elementwise.Map(new LogFunction(), [Sum(scratch, tier)], new Span<float>(ref log), tier);
        Elementwise.Combine<SubtractFunction>(x, [max], y, tier);
        Elementwise.Combine<SubtractFunction>(y, [log], y, tier);
    }

    /// <param name="x">n.</param>
    /// <param name="neutral">What the function leaves every number as it is with.</param>
    /// <param name="tier">Null: the best.</param>
    private static float Fold<TFunction>(ReadOnlySpan<float> x, float neutral, FloatTier? tier) where TFunction : struct, IBinaryFunction
    {
        float* lanes = stackalloc float[VirtualLanes];
        new Span<float>(lanes, VirtualLanes).Fill(neutral);
        fixed (float* p = &MemoryMarshal.GetReference(x))
        {
            switch ((tier ?? FloatTier.Best).Lanes)
            {
                case 16: Fold<TFunction, Lanes512, Vector512<float>, Vector512<int>>(p, x.Length, lanes); break;
                case 8: Fold<TFunction, Lanes256, Vector256<float>, Vector256<int>>(p, x.Length, lanes); break;
                case 4: Fold<TFunction, Lanes128, Vector128<float>, Vector128<int>>(p, x.Length, lanes); break;
                default: Fold<TFunction, LanesScalar, float, int>(p, x.Length, lanes); break;
            }
        }
        return Join<TFunction>(lanes);
    }

    /// <summary>The 16 lanes joined in halves.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static float Join<TFunction>(float* lanes) where TFunction : struct, IBinaryFunction
    {
        var low = TFunction.Apply<Lanes128, Vector128<float>, Vector128<int>>(Vector128.Load(lanes), Vector128.Load(lanes + 8));
        var high = TFunction.Apply<Lanes128, Vector128<float>, Vector128<int>>(Vector128.Load(lanes + 4), Vector128.Load(lanes + 12));
        var four = TFunction.Apply<Lanes128, Vector128<float>, Vector128<int>>(low, high);
        var two = TFunction.Apply<Lanes128, Vector128<float>, Vector128<int>>(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
        return One<TFunction>(two[0], two[1]);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Fold<TFunction, TLanes, TFloats, TInts>(float* x, int n, float* lanes)
        where TFunction : struct, IBinaryFunction where TLanes : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        int whole = n / VirtualLanes * VirtualLanes;
        for (int l = 0; l < VirtualLanes; l += TLanes.Count)
        {
            var sums = TLanes.Load(lanes + l);
            for (int i = l; i < whole; i += VirtualLanes) sums = TFunction.Apply<TLanes, TFloats, TInts>(sums, TLanes.Load(x + i));
            TLanes.Store(sums, lanes + l);
        }
        for (int i = whole; i < n; i++) lanes[i - whole] = One<TFunction>(lanes[i - whole], x[i]);
    }

    internal static float One<TFunction>(float x, float y) where TFunction : struct, IBinaryFunction =>
        TFunction.Apply<LanesScalar, float, int>(x, y);

    internal readonly struct MaxFunction : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TFloats Apply<L, TFloats, TInts>(TFloats x, TFloats y) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
            L.Select(L.Less(x, y), y, x);
    }

    private readonly struct MinFunction : IBinaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TFloats Apply<L, TFloats, TInts>(TFloats x, TFloats y) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
            L.Select(L.Less(y, x), y, x);
    }

    private readonly struct ShiftedExp(float by) : IUnaryFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
            ExpFunction.Of<L, TFloats, TInts>(L.Subtract(x, L.Create(by)));
    }
}
