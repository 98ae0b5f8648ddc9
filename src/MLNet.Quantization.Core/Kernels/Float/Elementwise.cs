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
        int xStep = x.Length == 1 ? 0 : 1, yStep = y.Length == 1 ? 0 : 1;
        fixed (float* px = x, py = y, pz = z)
        {
            switch ((tier ?? FloatTier.Best).Lanes)
            {
                case 16: Combine<TFunction, Lanes512, Vector512<float>, Vector512<int>>(px, xStep, py, yStep, pz, z.Length); break;
                case 8: Combine<TFunction, Lanes256, Vector256<float>, Vector256<int>>(px, xStep, py, yStep, pz, z.Length); break;
                case 4: Combine<TFunction, Lanes128, Vector128<float>, Vector128<int>>(px, xStep, py, yStep, pz, z.Length); break;
                default: Combine<TFunction, LanesScalar, float, int>(px, xStep, py, yStep, pz, z.Length); break;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Combine<TFunction, TLanes, TFloats, TInts>(float* x, int xStep, float* y, int yStep, float* z, int n)
        where TFunction : struct, IBinaryFunction where TLanes : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        // What is used for all is read before the first result may overwrite it.
        TFloats oneX = TLanes.Create(x[0]), oneY = TLanes.Create(y[0]);
        int i = 0;
        for (; i <= n - TLanes.Count; i += TLanes.Count)
        {
            var a = xStep == 0 ? oneX : TLanes.Load(x + i);
            var b = yStep == 0 ? oneY : TLanes.Load(y + i);
            TLanes.Store(TFunction.Apply<TLanes, TFloats, TInts>(a, b), z + i);
        }
        if (i == n) return;
        float* last = stackalloc float[2 * TLanes.Count];
        if (xStep == 0) TLanes.Store(oneX, last);
        else Copy(x + i, last, n - i);
        if (yStep == 0) TLanes.Store(oneY, last + TLanes.Count);
        else Copy(y + i, last + TLanes.Count, n - i);
        TLanes.Store(TFunction.Apply<TLanes, TFloats, TInts>(TLanes.Load(last), TLanes.Load(last + TLanes.Count)), last);
        Copy(last, z + i, n - i);
    }

    private static void Copy(float* from, float* to, int count) => new ReadOnlySpan<float>(from, count).CopyTo(new Span<float>(to, count));
}
