using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>A function of two numbers, given for vectors; only arithmetic, comparison and selection, so that lanes do not matter.</summary>
internal interface IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    Vector<T> Apply(Vector<T> x, Vector<T> y);
}

/// <summary>Element-wise arithmetic of gradients, in vectors of the machine; generic over the number.</summary>
internal static class Vectors
{
    /// <summary>Elements that one thread takes at a time: waking another pays for more. A multiple of every vector's width, so that tails are those of the whole.</summary>
    private const int Chunk = 1 << 15;

    /// <summary>sum[i] += x[i].</summary>
    public static void Add<T>(ReadOnlySpan<T> x, Span<T> sum) where T : unmanaged, IFloatingPointIeee754<T> => Accumulate(new First<T>(), x, x, sum);

    /// <summary>sum[i] += factor · x[i].</summary>
    public static void AddScaled<T>(ReadOnlySpan<T> x, T factor, Span<T> sum) where T : unmanaged, IFloatingPointIeee754<T> => Accumulate(new Scaled<T>(factor), x, x, sum);

    /// <summary>sum[i] += x[i] · y[i].</summary>
    public static void AddProduct<T>(ReadOnlySpan<T> x, ReadOnlySpan<T> y, Span<T> sum) where T : unmanaged, IFloatingPointIeee754<T> => Accumulate(new Times<T>(), x, y, sum);

    /// <summary>z[i] = x[i] · y[i].</summary>
    public static void Product<T>(ReadOnlySpan<T> x, ReadOnlySpan<T> y, Span<T> z) where T : unmanaged, IFloatingPointIeee754<T> => Map(new Times<T>(), x, y, z);

    /// <summary>sum[i] += f(x[i], y[i]).</summary>
    /// <param name="function">f.</param>
    /// <param name="x">n.</param>
    /// <param name="y">n.</param>
    /// <param name="sum">n.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public static void Accumulate<T, TFunction>(TFunction function, ReadOnlySpan<T> x, ReadOnlySpan<T> y, Span<T> sum, int maxThreads = 1)
        where T : unmanaged, IFloatingPointIeee754<T> where TFunction : struct, IVectorFunction<T> => Spread<T, TFunction, True>(function, x, y, sum, maxThreads);

    /// <summary>z[i] = f(x[i], y[i]).</summary>
    /// <param name="function">f.</param>
    /// <param name="x">n.</param>
    /// <param name="y">n.</param>
    /// <param name="z">n.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public static void Map<T, TFunction>(TFunction function, ReadOnlySpan<T> x, ReadOnlySpan<T> y, Span<T> z, int maxThreads = 1)
        where T : unmanaged, IFloatingPointIeee754<T> where TFunction : struct, IVectorFunction<T> => Spread<T, TFunction, False>(function, x, y, z, maxThreads);

    /// <summary>z[i] = f(x[i], y[i]) where z holds nothing yet, else z[i] += f(x[i], y[i]).</summary>
    /// <inheritdoc cref="Accumulate{T, F}"/>
    public static void Give<T, TFunction>(bool isFresh, TFunction function, ReadOnlySpan<T> x, ReadOnlySpan<T> y, Span<T> z, int maxThreads = 1)
        where T : unmanaged, IFloatingPointIeee754<T> where TFunction : struct, IVectorFunction<T>
    {
        if (isFresh) Map(function, x, y, z, maxThreads);
        else Accumulate(function, x, y, z, maxThreads);
    }

    /// <summary>sum[i] += shift.</summary>
    public static void AddTo<T>(T shift, Span<T> sum) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var all = new Vector<T>(shift);
        int i = 0;
        for (; i <= sum.Length - Vector<T>.Count; i += Vector<T>.Count) (new Vector<T>(sum[i..]) + all).CopyTo(sum[i..]);
        for (; i < sum.Length; i++) sum[i] += shift;
    }

    /// <summary>y[i] = (x[i] - center) · factor + shift.</summary>
    public static void Line<T>(ReadOnlySpan<T> x, T center, T factor, T shift, Span<T> y) where T : unmanaged, IFloatingPointIeee754<T> => Map(new Straight<T>(center, factor, shift), x, x, y);

    /// <summary>Σ (x[i] - center)².</summary>
    public static T SumOfSquares<T>(ReadOnlySpan<T> x, T center) where T : unmanaged, IFloatingPointIeee754<T> => Reduce(new SquaredDistance<T>(center), x, x);

    /// <summary>Σ (x[i] - center) and Σ (x[i] - center)².</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static (T Sum, T Squares) Moments<T>(ReadOnlySpan<T> x, T center) where T : unmanaged, IFloatingPointIeee754<T>
    {
        ref T px = ref MemoryMarshal.GetReference(x);
        Vector<T> a = Vector<T>.Zero, b = a, c = a, d = a, middle = new(center);
        int i = 0, width = Vector<T>.Count;
        for (; i <= x.Length - (2 * width); i += 2 * width)
        {
            Vector<T> u = Vector.LoadUnsafe(ref px, (nuint)i) - middle, v = Vector.LoadUnsafe(ref px, (nuint)(i + width)) - middle;
            a += u;
            b += v;
            c += u * u;
            d += v * v;
        }
        T sum = Vector.Sum(a + b), squares = Vector.Sum(c + d);
        for (; i < x.Length; i++)
        {
            T u = x[i] - center;
            sum += u;
            squares += u * u;
        }
        return (sum, squares);
    }

    /// <summary>With h[i] = f(x[i], g[i]): Σ h[i] and Σ h[i] · (x[i] - center).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static (T Sum, T Dot) SumAndDot<T, TFunction>(TFunction function, ReadOnlySpan<T> x, ReadOnlySpan<T> g, T center)
        where T : unmanaged, IFloatingPointIeee754<T> where TFunction : struct, IVectorFunction<T>
    {
        if (x.Length != g.Length) throw new ArgumentException($"{x.Length} and {g.Length} elements do not go together.");
        ref T px = ref MemoryMarshal.GetReference(x), pg = ref MemoryMarshal.GetReference(g);
        Vector<T> a = Vector<T>.Zero, b = a, c = a, d = a, middle = new(center);
        int i = 0, width = Vector<T>.Count;
        for (; i <= x.Length - (2 * width); i += 2 * width)
        {
            Vector<T> xs = Vector.LoadUnsafe(ref px, (nuint)i), ys = Vector.LoadUnsafe(ref px, (nuint)(i + width));
            Vector<T> u = function.Apply(xs, Vector.LoadUnsafe(ref pg, (nuint)i)), v = function.Apply(ys, Vector.LoadUnsafe(ref pg, (nuint)(i + width)));
            a += u;
            b += v;
            c += u * (xs - middle);
            d += v * (ys - middle);
        }
        T sum = Vector.Sum(a + b), dot = Vector.Sum(c + d);
        for (; i < x.Length; i++)
        {
            T u = function.Apply(new(x[i]), new(g[i]))[0];
            sum += u;
            dot += u * (x[i] - center);
        }
        return (sum, dot);
    }

    /// <summary>Σ x[i] · y[i].</summary>
    public static T Dot<T>(ReadOnlySpan<T> x, ReadOnlySpan<T> y) where T : unmanaged, IFloatingPointIeee754<T> => Reduce(new Times<T>(), x, y);

    /// <summary>Σ x[i].</summary>
    public static T Sum<T>(ReadOnlySpan<T> x) where T : unmanaged, IFloatingPointIeee754<T> => Reduce(new First<T>(), x, x);

    /// <summary>Σ f(x[i], y[i]), in four sums at a time: one alone would wait for itself.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static T Reduce<T, TFunction>(TFunction function, ReadOnlySpan<T> x, ReadOnlySpan<T> y)
        where T : unmanaged, IFloatingPointIeee754<T> where TFunction : struct, IVectorFunction<T>
    {
        if (x.Length != y.Length) throw new ArgumentException($"{x.Length} and {y.Length} elements do not go together.");
        ref T px = ref MemoryMarshal.GetReference(x), py = ref MemoryMarshal.GetReference(y);
        Vector<T> a = Vector<T>.Zero, b = a, c = a, d = a;
        int i = 0, width = Vector<T>.Count;
        for (; i <= x.Length - (4 * width); i += 4 * width)
        {
            a += function.Apply(Vector.LoadUnsafe(ref px, (nuint)i), Vector.LoadUnsafe(ref py, (nuint)i));
            b += function.Apply(Vector.LoadUnsafe(ref px, (nuint)(i + width)), Vector.LoadUnsafe(ref py, (nuint)(i + width)));
            c += function.Apply(Vector.LoadUnsafe(ref px, (nuint)(i + (2 * width))), Vector.LoadUnsafe(ref py, (nuint)(i + (2 * width))));
            d += function.Apply(Vector.LoadUnsafe(ref px, (nuint)(i + (3 * width))), Vector.LoadUnsafe(ref py, (nuint)(i + (3 * width))));
        }
        for (; i <= x.Length - width; i += width) a += function.Apply(Vector.LoadUnsafe(ref px, (nuint)i), Vector.LoadUnsafe(ref py, (nuint)i));
        T sum = Vector.Sum(a + b + (c + d));
        for (; i < x.Length; i++) sum += function.Apply(new(x[i]), new(y[i]))[0];
        return sum;
    }

    private static unsafe void Spread<T, TFunction, TAdd>(TFunction function, ReadOnlySpan<T> x, ReadOnlySpan<T> y, Span<T> z, int maxThreads)
        where T : unmanaged, IFloatingPointIeee754<T> where TFunction : struct, IVectorFunction<T> where TAdd : struct, IFlag
    {
        if (maxThreads == 1 || z.Length < 2 * Chunk || y.Length != x.Length || z.Length != x.Length)
        {
            Run<T, TFunction, TAdd>(function, x, y, z);
            return;
        }
        fixed (T* px = x, py = y, pz = z)
        {
            var body = new Part<T, TFunction, TAdd>(function, px, py, pz, z.Length);
            WorkerPool.Run(ref body, (z.Length + Chunk - 1) / Chunk, maxThreads);
        }
    }

    private readonly unsafe struct Part<T, TFunction, TAdd>(TFunction function, T* x, T* y, T* z, int length) : IParallelBody
        where T : unmanaged, IFloatingPointIeee754<T> where TFunction : struct, IVectorFunction<T> where TAdd : struct, IFlag
    {
        public void Run(int chunk, int lane)
        {
            int from = chunk * Chunk, count = Math.Min(Chunk, length - from);
            Run<T, TFunction, TAdd>(function, new(x + from, count), new(y + from, count), new(z + from, count));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run<T, TFunction, TAdd>(TFunction function, ReadOnlySpan<T> x, ReadOnlySpan<T> y, Span<T> z)
        where T : unmanaged, IFloatingPointIeee754<T> where TFunction : struct, IVectorFunction<T> where TAdd : struct, IFlag
    {
        if (y.Length != x.Length || z.Length != x.Length) throw new ArgumentException($"{x.Length} and {y.Length} elements do not make {z.Length}.");
        ref T px = ref MemoryMarshal.GetReference(x), py = ref MemoryMarshal.GetReference(y), pz = ref MemoryMarshal.GetReference(z);
        int i = 0;
        for (; i <= x.Length - Vector<T>.Count; i += Vector<T>.Count)
        {
            var value = function.Apply(Vector.LoadUnsafe(ref px, (nuint)i), Vector.LoadUnsafe(ref py, (nuint)i));
            (TAdd.Value ? Vector.LoadUnsafe(ref pz, (nuint)i) + value : value).StoreUnsafe(ref pz, (nuint)i);
        }
        for (; i < x.Length; i++)
        {
            T value = function.Apply(new(x[i]), new(y[i]))[0];
            z[i] = TAdd.Value ? z[i] + value : value;
        }
    }

    private interface IFlag
    {
        static abstract bool Value { get; }
    }

    private readonly struct True : IFlag
    {
        public static bool Value => true;
    }

    private readonly struct False : IFlag
    {
        public static bool Value => false;
    }

    private readonly struct First<T> : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        public Vector<T> Apply(Vector<T> x, Vector<T> y) => x;
    }

    private readonly struct Scaled<T>(T factor) : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        private readonly Vector<T> _factor = new(factor);

        public Vector<T> Apply(Vector<T> x, Vector<T> y) => _factor * x;
    }

    private readonly struct Straight<T>(T center, T factor, T shift) : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        private readonly Vector<T> _center = new(center), _factor = new(factor), _shift = new(shift);

        public Vector<T> Apply(Vector<T> x, Vector<T> y) => ((x - _center) * _factor) + _shift;
    }

    private readonly struct SquaredDistance<T>(T center) : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        private readonly Vector<T> _center = new(center);

        public Vector<T> Apply(Vector<T> x, Vector<T> y) => (x - _center) * (x - _center);
    }

    private readonly struct Times<T> : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        public Vector<T> Apply(Vector<T> x, Vector<T> y) => x * y;
    }
}
