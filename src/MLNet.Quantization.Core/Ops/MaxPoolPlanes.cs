using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Max pooling of one plane after the other while training, there and back; the gradient of a window goes to its first greatest element. For
/// several threads, each with a lane of its own.
/// </summary>
internal sealed class MaxPoolPlanes<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly WindowRuns _runs;
    private readonly int[] _pixels;
    private readonly T[][] _columns;
    private readonly PairPool[] _pairs = [];

    /// <param name="shape">Of the pool.</param>
    /// <param name="lanes">How many callers there may be at a time.</param>
    public MaxPoolPlanes(PoolShape shape, int lanes)
    {
        _runs = WindowRuns.Of(shape);
        _pixels = _runs.Pixel();
        _columns = new T[lanes][];
        if (typeof(T) == typeof(float) && PairPool.Fits(shape)) _pairs = [.. Enumerable.Range(0, lanes).Select(_ => new PairPool(shape.Input.Height, shape.Input.Width))];
    }

    /// <summary>Elements of a plane of the input.</summary>
    public int Plane => _runs.Plane;

    /// <summary>Elements of a plane of the output.</summary>
    public int Pixels => _runs.Pixels;

    /// <param name="lane">The caller's.</param>
    /// <param name="x"><see cref="Plane"/>.</param>
    /// <param name="y"><see cref="Pixels"/>.</param>
    /// <param name="taps">As many: the number of the window's element that is the greatest.</param>
    public void Forward(int lane, ReadOnlySpan<T> x, Span<T> y, Span<T> taps)
    {
        if (_pairs.Length > 0)
        {
            _pairs[lane].Forward(MemoryMarshal.Cast<T, float>(x), MemoryMarshal.Cast<T, float>(y), MemoryMarshal.Cast<T, float>(taps));
            return;
        }
        // Below everything where a window reaches over the edge.
        if (_columns[lane] is null) Array.Fill(_columns[lane] = new T[_runs.Taps * y.Length], T.NegativeInfinity);
        _runs.Unfold(x, _columns[lane]);
        Choose(_columns[lane], y, taps);
    }

    /// <param name="lane">The caller's.</param>
    /// <param name="g">∂L/∂y, <see cref="Pixels"/>.</param>
    /// <param name="taps">As <see cref="Forward"/> found them.</param>
    /// <param name="gradient"><see cref="Plane"/>.</param>
    /// <param name="add">Adds to the gradient; else it is overwritten.</param>
    public void Backward(int lane, ReadOnlySpan<T> g, ReadOnlySpan<T> taps, Span<T> gradient, bool add)
    {
        if (!add && _pairs.Length > 0)
        {
            _pairs[lane].Backward(MemoryMarshal.Cast<T, float>(g), MemoryMarshal.Cast<T, float>(taps), MemoryMarshal.Cast<T, float>(gradient));
            return;
        }
        if (!add) gradient.Clear();
        for (int j = 0; j < g.Length; j++)
        {
            int pixel = _pixels[(int.CreateTruncating(taps[j]) * g.Length) + j];
            if (pixel >= 0) gradient[pixel] += g[j];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Choose(ReadOnlySpan<T> columns, Span<T> y, Span<T> taps)
    {
        int count = y.Length, j = 0;
        for (; j <= count - Vector<T>.Count; j += Vector<T>.Count)
        {
            Vector<T> best = new(columns[j..]), tap = Vector<T>.Zero;
            for (int t = 1; t < _runs.Taps; t++)
            {
                var other = new Vector<T>(columns[((t * count) + j)..]);
                var isGreater = Vector.GreaterThan(other, best);
                best = Vector.ConditionalSelect(isGreater, other, best);
                tap = Vector.ConditionalSelect(isGreater, new Vector<T>(T.CreateTruncating(t)), tap);
            }
            best.CopyTo(y[j..]);
            tap.CopyTo(taps[j..]);
        }
        for (; j < count; j++)
        {
            (y[j], taps[j]) = (columns[j], T.Zero);
            for (int t = 1; t < _runs.Taps; t++)
                if (columns[(t * count) + j] > y[j]) (y[j], taps[j]) = (columns[(t * count) + j], T.CreateTruncating(t));
        }
    }
}
