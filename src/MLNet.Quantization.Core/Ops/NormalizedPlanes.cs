using System.Numerics;

namespace MLNet.Quantization.Ops;

/// <summary>The line of a channel that is normalized: (x - <paramref name="Mean"/>) · <paramref name="Factor"/> + <paramref name="Shift"/>.</summary>
internal readonly record struct NormalizedLine<T>(T Mean, T Factor, T Shift) where T : unmanaged, IFloatingPointIeee754<T>;

/// <summary>The way back through it: g · <paramref name="Factor"/> + (x - <paramref name="Mean"/>) · <paramref name="Along"/> + <paramref name="Shift"/>.</summary>
internal readonly record struct NormalizedSlope<T>(T Factor, T Mean, T Along, T Shift) where T : unmanaged, IFloatingPointIeee754<T>;

/// <summary>
/// A batch normalization and what stands behind it on a tape, one plane after the other: while a plane is in the cache, all that can be is
/// done with it. For several threads, each with a lane of its own.
/// </summary>
internal abstract class NormalizedPlanes<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    /// <summary>Before the line is known; each plane once, before <see cref="Forward"/>.</summary>
    /// <param name="lane">The caller's.</param>
    /// <param name="index">The plane's number in the batch.</param>
    /// <param name="x">The plane.</param>
    /// <param name="isFalling">The line will fall.</param>
    public virtual void Prepare(int lane, int index, ReadOnlySpan<T> x, bool isFalling)
    {
    }

    /// <param name="index">The plane's number in the batch.</param>
    /// <param name="line">The channel's.</param>
    /// <param name="x">The plane.</param>
    /// <param name="y">The output's plane.</param>
    public abstract void Forward(int index, NormalizedLine<T> line, ReadOnlySpan<T> x, Span<T> y);

    /// <summary>With h the gradient at the line's end: Σh and Σh · (x - mean).</summary>
    /// <param name="index">The plane's number in the batch.</param>
    /// <param name="line">The channel's.</param>
    /// <param name="x">The plane.</param>
    /// <param name="g">∂L/∂y.</param>
    public abstract (T Sum, T Dot) Sums(int index, NormalizedLine<T> line, ReadOnlySpan<T> x, ReadOnlySpan<T> g);

    /// <summary>Writes <paramref name="slope"/> of h, or adds it.</summary>
    /// <inheritdoc cref="Sums"/>
    /// <param name="lane">The caller's.</param>
    /// <param name="index">The plane's number in the batch.</param>
    /// <param name="line">The channel's.</param>
    /// <param name="slope">The channel's.</param>
    /// <param name="x">The plane.</param>
    /// <param name="g">∂L/∂y.</param>
    /// <param name="gradient">Like x.</param>
    /// <param name="isFresh">The gradient holds nothing yet.</param>
    public abstract void Backward(int lane, int index, NormalizedLine<T> line, NormalizedSlope<T> slope, ReadOnlySpan<T> x, ReadOnlySpan<T> g, Span<T> gradient, bool isFresh);
}

/// <summary>The normalization alone.</summary>
internal sealed class PlainPlanes<T> : NormalizedPlanes<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    public static readonly PlainPlanes<T> Instance = new();

    public override void Forward(int index, NormalizedLine<T> line, ReadOnlySpan<T> x, Span<T> y) => Vectors.Line(x, line.Mean, line.Factor, line.Shift, y);

    public override (T Sum, T Dot) Sums(int index, NormalizedLine<T> line, ReadOnlySpan<T> x, ReadOnlySpan<T> g) => Vectors.SumAndDot(new Second(), x, g, line.Mean);

    public override void Backward(int lane, int index, NormalizedLine<T> line, NormalizedSlope<T> slope, ReadOnlySpan<T> x, ReadOnlySpan<T> g, Span<T> gradient, bool isFresh) =>
        Vectors.Give(isFresh, new Slope<T, Second>(slope, new()), x, g, gradient);

    /// <summary>The gradient as it is.</summary>
    internal readonly struct Second : IVectorFunction<T>
    {
        public Vector<T> Apply(Vector<T> x, Vector<T> y) => y;
    }
}

/// <summary>Relu behind the normalization.</summary>
internal sealed class PositivePlanes<T> : NormalizedPlanes<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    public static readonly PositivePlanes<T> Instance = new();

    public override void Forward(int index, NormalizedLine<T> line, ReadOnlySpan<T> x, Span<T> y) => Vectors.Map(new PositiveLine<T>(line), x, x, y);

    public override (T Sum, T Dot) Sums(int index, NormalizedLine<T> line, ReadOnlySpan<T> x, ReadOnlySpan<T> g) => Vectors.SumAndDot(new WherePositive<T>(line), x, g, line.Mean);

    public override void Backward(int lane, int index, NormalizedLine<T> line, NormalizedSlope<T> slope, ReadOnlySpan<T> x, ReadOnlySpan<T> g, Span<T> gradient, bool isFresh) =>
        Vectors.Give(isFresh, new Slope<T, WherePositive<T>>(slope, new(line)), x, g, gradient);
}

/// <summary>max(0, line).</summary>
internal readonly struct PositiveLine<T>(NormalizedLine<T> line) : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly Vector<T> _mean = new(line.Mean), _factor = new(line.Factor), _shift = new(line.Shift);

    public Vector<T> Apply(Vector<T> x, Vector<T> y)
    {
        var v = ((x - _mean) * _factor) + _shift;
        return Vector.ConditionalSelect(Vector.LessThanOrEqual(v, Vector<T>.Zero), Vector<T>.Zero, v);
    }
}

/// <summary>y where the line at x is above 0.</summary>
internal readonly struct WherePositive<T>(NormalizedLine<T> line) : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly Vector<T> _mean = new(line.Mean), _factor = new(line.Factor), _shift = new(line.Shift);

    public Vector<T> Apply(Vector<T> x, Vector<T> y) => Vector.ConditionalSelect(Vector.LessThanOrEqual(((x - _mean) * _factor) + _shift, Vector<T>.Zero), Vector<T>.Zero, y);
}

/// <summary>The slope at x of what another function makes of the gradient.</summary>
internal readonly struct Slope<T, TGradient>(NormalizedSlope<T> slope, TGradient gradient) : IVectorFunction<T>
    where T : unmanaged, IFloatingPointIeee754<T> where TGradient : struct, IVectorFunction<T>
{
    private readonly Vector<T> _factor = new(slope.Factor), _mean = new(slope.Mean), _along = new(slope.Along), _shift = new(slope.Shift);

    public Vector<T> Apply(Vector<T> x, Vector<T> y) => (gradient.Apply(x, y) * _factor) + ((x - _mean) * _along) + _shift;
}
