using System.Numerics;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Relu and MaxPool behind the normalization. A line that rises has its greatest where x has it, one that falls where x has its least, and
/// rounding keeps that order: so x is pooled, and only what is left is normalized. What lies between is never written to memory.
/// </summary>
/// <param name="pool">Pools planes; has as many lanes as there are callers at a time.</param>
/// <param name="outputs">Elements of the output.</param>
internal sealed class PooledPlanes<T>(MaxPoolPlanes<T> pool, int outputs) : NormalizedPlanes<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly T[] _taps = new T[outputs], _chosen = new T[outputs];
    private readonly T[][] _small = new T[pool.Lanes][];

    public override void Prepare(int lane, int index, ReadOnlySpan<T> x, bool isFalling) => pool.Forward(lane, x, Of(_chosen, index), Of(_taps, index), isLeast: isFalling);

    public override void Forward(int index, NormalizedLine<T> line, ReadOnlySpan<T> x, Span<T> y)
    {
        var chosen = Of(_chosen, index);
        Vectors.Map(new PositiveLine<T>(line), chosen, chosen, y);
    }

    public override (T Sum, T Dot) Sums(int index, NormalizedLine<T> line, ReadOnlySpan<T> x, ReadOnlySpan<T> g) => Vectors.SumAndDot(new WherePositive<T>(line), Of(_chosen, index), g, line.Mean);

    public override void Backward(int lane, int index, NormalizedLine<T> line, NormalizedSlope<T> slope, ReadOnlySpan<T> x, ReadOnlySpan<T> g, Span<T> gradient, bool isFresh)
    {
        Span<T> chosen = Of(_chosen, index), masked = _small[lane] ??= new T[pool.Pixels];
        Vectors.Map(new WherePositive<T>(line), chosen, g, masked);
        pool.Backward(lane, slope, x, masked, Of(_taps, index), gradient, isFresh);
    }

    private Span<T> Of(T[] values, int index) => values.AsSpan(index * pool.Pixels, pool.Pixels);
}
