using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Kernels;

/// <summary>A function of one number. Parameters are fields.</summary>
internal interface IUnaryFunction
{
    TFloats Apply<TLanes, TFloats, TInts>(TFloats x) where TLanes : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged;
}

/// <summary>A function of two numbers.</summary>
internal interface IBinaryFunction
{
    static abstract TFloats Apply<TLanes, TFloats, TInts>(TFloats x, TFloats y) where TLanes : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged;
}

/// <summary>Applies a function to each element, over the vectors of a tier. The last few elements go through a padded vector, so that they get the same arithmetic.</summary>
internal static unsafe class Elementwise
{
    /// <param name="function">The function and its parameters.</param>
    /// <param name="x">n.</param>
    /// <param name="y">At least n; may be <paramref name="x"/> itself.</param>
    /// <param name="tier">Null: <see cref="FloatTier.Best"/>.</param>
    public static void Map<TFunction>(in TFunction function, ReadOnlySpan<float> x, Span<float> y, FloatTier? tier = null) where TFunction : struct, IUnaryFunction
    {
        if (y.Length < x.Length) throw new ArgumentException($"{y.Length} places for {x.Length} results.", nameof(y));
        fixed (float* px = &MemoryMarshal.GetReference(x), py = &MemoryMarshal.GetReference(y))
        {
            switch ((tier ?? FloatTier.Best).Lanes)
            {
                case 16: Map<TFunction, Lanes512, Vector512<float>, Vector512<int>>(function, px, py, x.Length); break;
                case 8: Map<TFunction, Lanes256, Vector256<float>, Vector256<int>>(function, px, py, x.Length); break;
                case 4: Map<TFunction, Lanes128, Vector128<float>, Vector128<int>>(function, px, py, x.Length); break;
                default: Map<TFunction, LanesScalar, float, int>(function, px, py, x.Length); break;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Map<TFunction, TLanes, TFloats, TInts>(TFunction function, float* x, float* y, int n)
        where TFunction : struct, IUnaryFunction where TLanes : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        int i = 0;
        for (; i <= n - TLanes.Count; i += TLanes.Count) TLanes.Store(function.Apply<TLanes, TFloats, TInts>(TLanes.Load(x + i)), y + i);
        if (i == n) return;
        float* last = stackalloc float[TLanes.Count];
        Copy(x + i, last, n - i);
        TLanes.Store(function.Apply<TLanes, TFloats, TInts>(TLanes.Load(last)), last);
        Copy(last, y + i, n - i);
    }

    /// <param name="x">n, or 1 to use it for all.</param>
    /// <param name="y">n, or 1 to use it for all.</param>
    /// <param name="z">n, the greater of both; may be one of them.</param>
    /// <param name="tier">Null: <see cref="FloatTier.Best"/>.</param>
    public static void Combine<TFunction>(ReadOnlySpan<float> x, ReadOnlySpan<float> y, Span<float> z, FloatTier? tier = null) where TFunction : struct, IBinaryFunction
    {
        if (z.Length == 0) return;
        if ((x.Length != z.Length && x.Length != 1) || (y.Length != z.Length && y.Length != 1))
            throw new ArgumentException($"{x.Length} and {y.Length} elements do not make {z.Length}.");
        fixed (float* px = x, py = y, pz = z)
            Combine<TFunction>(px, x.Length == 1 ? 0 : 1, py, y.Length == 1 ? 0 : 1, pz, z.Length, 1, tier ?? FloatTier.Best);
    }

    /// <summary>The same for each row of x with all of y.</summary>
    /// <param name="x">Rows of n.</param>
    /// <param name="y">n, at least 1.</param>
    /// <param name="z">As x; may be x itself.</param>
    /// <param name="tier">Null: <see cref="FloatTier.Best"/>.</param>
    public static void CombineRows<TFunction>(ReadOnlySpan<float> x, ReadOnlySpan<float> y, Span<float> z, FloatTier? tier = null) where TFunction : struct, IBinaryFunction
    {
        if (z.Length == 0) return;
        if (x.Length != z.Length || x.Length % y.Length != 0) throw new ArgumentException($"Rows of {y.Length} do not make {x.Length} elements, and those not {z.Length}.");
        fixed (float* px = x, py = y, pz = z) Combine<TFunction>(px, 1, py, 1, pz, y.Length, x.Length / y.Length, tier ?? FloatTier.Best);
    }

    private static void Combine<TFunction>(float* x, int xStep, float* y, int yStep, float* z, int n, int rows, FloatTier tier) where TFunction : struct, IBinaryFunction
    {
        switch (tier.Lanes)
        {
            case 16: Combine<TFunction, Lanes512, Vector512<float>, Vector512<int>>(x, xStep, y, yStep, z, n, rows); break;
            case 8: Combine<TFunction, Lanes256, Vector256<float>, Vector256<int>>(x, xStep, y, yStep, z, n, rows); break;
            case 4: Combine<TFunction, Lanes128, Vector128<float>, Vector128<int>>(x, xStep, y, yStep, z, n, rows); break;
            default: Combine<TFunction, LanesScalar, float, int>(x, xStep, y, yStep, z, n, rows); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Combine<TFunction, TLanes, TFloats, TInts>(float* x, int xStep, float* y, int yStep, float* z, int n, int rows)
        where TFunction : struct, IBinaryFunction where TLanes : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        // What is used for all is read before the first result may overwrite it.
        TFloats oneX = TLanes.Create(x[0]), oneY = TLanes.Create(y[0]);
        int rest = n % TLanes.Count, whole = n - rest;
        float* last = stackalloc float[rest == 0 ? 0 : 2 * TLanes.Count];
        for (int row = 0; row < rows; row++, x += n, z += n)
        {
            for (int i = 0; i < whole; i += TLanes.Count)
            {
                var a = xStep == 0 ? oneX : TLanes.Load(x + i);
                var b = yStep == 0 ? oneY : TLanes.Load(y + i);
                TLanes.Store(TFunction.Apply<TLanes, TFloats, TInts>(a, b), z + i);
            }
            if (rest == 0) continue;
            if (xStep == 0) TLanes.Store(oneX, last);
            else Copy(x + whole, last, rest);
            if (yStep == 0) TLanes.Store(oneY, last + TLanes.Count);
            else Copy(y + whole, last + TLanes.Count, rest);
            TLanes.Store(TFunction.Apply<TLanes, TFloats, TInts>(TLanes.Load(last), TLanes.Load(last + TLanes.Count)), last);
            Copy(last, z + whole, rest);
        }
    }

    private static void Copy(float* from, float* to, int count) => new ReadOnlySpan<float>(from, count).CopyTo(new Span<float>(to, count));
}
