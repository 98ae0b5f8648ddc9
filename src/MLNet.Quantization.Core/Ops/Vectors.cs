using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MLNet.Quantization.Ops;

/// <summary>A function of two numbers, given for vectors; only arithmetic, comparison and selection, so that lanes do not matter.</summary>
internal interface IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    Vector<T> Apply(Vector<T> x, Vector<T> y);
}

/// <summary>Element-wise arithmetic of gradients, in vectors of the machine; generic over the number.</summary>
internal static class Vectors
{
    /// <summary>sum[i] += x[i].</summary>
    public static void Add<T>(ReadOnlySpan<T> x, Span<T> sum) where T : unmanaged, IFloatingPointIeee754<T> => Accumulate(new First<T>(), x, x, sum);

    /// <summary>sum[i] += factor · x[i].</summary>
    public static void AddScaled<T>(ReadOnlySpan<T> x, T factor, Span<T> sum) where T : unmanaged, IFloatingPointIeee754<T> => Accumulate(new Scaled<T>(factor), x, x, sum);

    /// <summary>sum[i] += x[i] · y[i].</summary>
    public static void AddProduct<T>(ReadOnlySpan<T> x, ReadOnlySpan<T> y, Span<T> sum) where T : unmanaged, IFloatingPointIeee754<T> => Accumulate(new Times<T>(), x, y, sum);

    /// <summary>z[i] = x[i] · y[i].</summary>
    public static void Product<T>(ReadOnlySpan<T> x, ReadOnlySpan<T> y, Span<T> z) where T : unmanaged, IFloatingPointIeee754<T> => Map(new Times<T>(), x, y, z);

    /// <summary>sum[i] += f(x[i], y[i]).</summary>
    public static void Accumulate<T, TFunction>(TFunction function, ReadOnlySpan<T> x, ReadOnlySpan<T> y, Span<T> sum)
        where T : unmanaged, IFloatingPointIeee754<T> where TFunction : struct, IVectorFunction<T> => Run<T, TFunction, True>(function, x, y, sum);

    /// <summary>z[i] = f(x[i], y[i]).</summary>
    public static void Map<T, TFunction>(TFunction function, ReadOnlySpan<T> x, ReadOnlySpan<T> y, Span<T> z)
        where T : unmanaged, IFloatingPointIeee754<T> where TFunction : struct, IVectorFunction<T> => Run<T, TFunction, False>(function, x, y, z);

    /// <summary>sum[i] += shift.</summary>
    public static void AddTo<T>(T shift, Span<T> sum) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var all = new Vector<T>(shift);
        int i = 0;
        for (; i <= sum.Length - Vector<T>.Count; i += Vector<T>.Count) (new Vector<T>(sum[i..]) + all).CopyTo(sum[i..]);
        for (; i < sum.Length; i++) sum[i] += shift;
    }

    /// <summary>y[i] = x[i] · factor + shift.</summary>
    public static void Line<T>(ReadOnlySpan<T> x, T factor, T shift, Span<T> y) where T : unmanaged, IFloatingPointIeee754<T> => Map(new Straight<T>(factor, shift), x, x, y);

    /// <summary>Σ (x[i] - center)².</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static T SumOfSquares<T>(ReadOnlySpan<T> x, T center) where T : unmanaged, IFloatingPointIeee754<T>
    {
        Vector<T> sums = Vector<T>.Zero, middle = new(center);
        int i = 0;
        for (; i <= x.Length - Vector<T>.Count; i += Vector<T>.Count)
        {
            var d = new Vector<T>(x[i..]) - middle;
            sums += d * d;
        }
        T sum = Vector.Sum(sums);
        for (; i < x.Length; i++) sum += (x[i] - center) * (x[i] - center);
        return sum;
    }

    /// <summary>Σ x[i] · y[i].</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static T Dot<T>(ReadOnlySpan<T> x, ReadOnlySpan<T> y) where T : unmanaged, IFloatingPointIeee754<T>
    {
        Vector<T> even = Vector<T>.Zero, odd = Vector<T>.Zero;
        int i = 0;
        for (; i <= x.Length - (2 * Vector<T>.Count); i += 2 * Vector<T>.Count)
        {
            even += new Vector<T>(x[i..]) * new Vector<T>(y[i..]);
            odd += new Vector<T>(x[(i + Vector<T>.Count)..]) * new Vector<T>(y[(i + Vector<T>.Count)..]);
        }
        T sum = Vector.Sum(even + odd);
        for (; i < x.Length; i++) sum += x[i] * y[i];
        return sum;
    }

    /// <summary>Σ x[i].</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static T Sum<T>(ReadOnlySpan<T> x) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var sums = Vector<T>.Zero;
        int i = 0;
        for (; i <= x.Length - Vector<T>.Count; i += Vector<T>.Count) sums += new Vector<T>(x[i..]);
        T sum = Vector.Sum(sums);
        for (; i < x.Length; i++) sum += x[i];
        return sum;
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

    private readonly struct Straight<T>(T factor, T shift) : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        private readonly Vector<T> _factor = new(factor), _shift = new(shift);

        public Vector<T> Apply(Vector<T> x, Vector<T> y) => (x * _factor) + _shift;
    }

    private readonly struct Times<T> : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        public Vector<T> Apply(Vector<T> x, Vector<T> y) => x * y;
    }
}
