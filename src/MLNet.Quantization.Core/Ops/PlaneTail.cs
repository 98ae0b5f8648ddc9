using System.Numerics;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Relu and, where there is one, MaxPool behind a batch normalization, plane by plane while that is in the cache: what lies between them is
/// never written to memory.
/// </summary>
internal sealed class PlaneTail<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly MaxPoolPlanes<T>? _pool;
    private readonly T[] _taps = [];
    private readonly T[][] _planes, _small;
    private readonly int _plane, _pixels;

    /// <param name="plane">Elements of a plane.</param>
    /// <param name="pool">Of the pool, or null.</param>
    /// <param name="outputs">Elements of the output.</param>
    public PlaneTail(int plane, PoolShape? pool, int outputs)
    {
        int lanes = WorkerPool.LaneCount;
        (_planes, _small) = (new T[lanes][], new T[lanes][]);
        _plane = plane;
        if (pool is not null) (_pool, _taps) = (new(pool, lanes), new T[outputs]);
        _pixels = _pool?.Pixels ?? plane;
    }

    /// <summary>y = pool(max(0, (x - mean) · factor + shift)).</summary>
    public void Forward(int lane, int index, ReadOnlySpan<T> x, T mean, T factor, T shift, T[] y)
    {
        var to = y.AsSpan(index * _pixels, _pixels);
        var positive = _pool is null ? to : Memory(_planes, lane, _plane);
        Vectors.Map(new PositiveLine<T>(mean, factor, shift), x, x, positive);
        _pool?.Forward(lane, positive, to, _taps.AsSpan(index * _pixels, _pixels));
    }

    /// <summary>The gradient of what went into Relu, valid until the lane's next call.</summary>
    public ReadOnlySpan<T> Backward(int lane, int index, T[] g, T[] y)
    {
        ReadOnlySpan<T> from = g.AsSpan(index * _pixels, _pixels), results = y.AsSpan(index * _pixels, _pixels);
        var masked = Memory(_small, lane, _pixels);
        // The greatest of a window is 0 where all of it was cut off.
        Vectors.Map(new WherePositive<T>(), results, from, masked);
        if (_pool is null) return masked;
        var plane = Memory(_planes, lane, _plane);
        _pool.Backward(lane, masked, _taps.AsSpan(index * _pixels, _pixels), plane, add: false);
        return plane;
    }

    private static Span<T> Memory(T[][] of, int lane, int count) => of[lane] ??= new T[count];

    private readonly struct PositiveLine<TNumber>(TNumber mean, TNumber factor, TNumber shift) : IVectorFunction<TNumber> where TNumber : unmanaged, IFloatingPointIeee754<TNumber>
    {
        private readonly Vector<TNumber> _mean = new(mean), _factor = new(factor), _shift = new(shift);

        public Vector<TNumber> Apply(Vector<TNumber> x, Vector<TNumber> y)
        {
            var v = ((x - _mean) * _factor) + _shift;
            return Vector.ConditionalSelect(Vector.LessThanOrEqual(v, Vector<TNumber>.Zero), Vector<TNumber>.Zero, v);
        }
    }

    private readonly struct WherePositive<TNumber> : IVectorFunction<TNumber> where TNumber : unmanaged, IFloatingPointIeee754<TNumber>
    {
        public Vector<TNumber> Apply(Vector<TNumber> x, Vector<TNumber> y) => Vector.ConditionalSelect(Vector.LessThanOrEqual(x, Vector<TNumber>.Zero), Vector<TNumber>.Zero, y);
    }
}
