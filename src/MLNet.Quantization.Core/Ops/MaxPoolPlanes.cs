using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Max pooling of one plane after the other while training, there and back; the gradient of a window goes to its first greatest element. For
/// several threads, each with a lane of its own.
/// </summary>
internal sealed class MaxPoolPlanes<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly WindowRuns _runs;
    private readonly int[] _pixels;
    private readonly T[][] _columns, _planes;
    private readonly bool _isPairs;
    private readonly int _width;

    /// <param name="shape">Of the pool.</param>
    /// <param name="lanes">How many callers there may be at a time.</param>
    public MaxPoolPlanes(PoolShape shape, int lanes)
    {
        _runs = WindowRuns.Of(shape);
        _pixels = _runs.Pixel();
        (_columns, _planes) = (new T[lanes][], new T[lanes][]);
        _isPairs = typeof(T) == typeof(float) && PairPool.Fits(shape);
        _width = shape.Output.Width;
    }

    public int Lanes => _columns.Length;

    /// <summary>Elements of a plane of the input.</summary>
    public int Plane => _runs.Plane;

    /// <summary>Elements of a plane of the output.</summary>
    public int Pixels => _runs.Pixels;

    /// <param name="lane">The caller's.</param>
    /// <param name="x"><see cref="Plane"/>.</param>
    /// <param name="y"><see cref="Pixels"/>.</param>
    /// <param name="taps">As many: the number of the window's element that is the greatest.</param>
    /// <param name="isLeast">The least is taken instead.</param>
    public void Forward(int lane, ReadOnlySpan<T> x, Span<T> y, Span<T> taps, bool isLeast = false)
    {
        if (_isPairs)
        {
            PairPool.Forward(MemoryMarshal.Cast<T, float>(x), _width, isLeast ? -1 : 1, MemoryMarshal.Cast<T, float>(y), MemoryMarshal.Cast<T, float>(taps));
            return;
        }
        // Below everything where a window reaches over the edge.
        if (_columns[lane] is null) Array.Fill(_columns[lane] = new T[_runs.Taps * y.Length], T.NegativeInfinity);
        if (isLeast)
        {
            var negative = PlaneOf(lane);
            Vectors.Map(new Negation(), x, x, negative);
            x = negative;
        }
        _runs.Unfold(x, _columns[lane]);
        Choose(_columns[lane], y, taps);
        if (isLeast) Vectors.Map(new Negation(), y, y, y);
    }

    /// <param name="lane">The caller's.</param>
    /// <param name="g">∂L/∂y, <see cref="Pixels"/>.</param>
    /// <param name="taps">As <see cref="Forward"/> found them.</param>
    /// <param name="gradient"><see cref="Plane"/>.</param>
    /// <param name="isFresh">The gradient holds nothing yet; else it is added to.</param>
    public void Backward(int lane, ReadOnlySpan<T> g, ReadOnlySpan<T> taps, Span<T> gradient, bool isFresh)
    {
        if (isFresh && _isPairs)
        {
            var to = MemoryMarshal.Cast<T, float>(gradient);
            PairPool.Backward(new Alone(), to, _width, MemoryMarshal.Cast<T, float>(g), MemoryMarshal.Cast<T, float>(taps), to);
            return;
        }
        if (isFresh) gradient.Clear();
        for (int j = 0; j < g.Length; j++)
        {
            int pixel = _pixels[(int.CreateTruncating(taps[j]) * g.Length) + j];
            if (pixel >= 0) gradient[pixel] += g[j];
        }
    }

    /// <summary>On through a normalization before the pool.</summary>
    /// <param name="lane">The caller's.</param>
    /// <param name="slope">The normalization's.</param>
    /// <param name="x">What was normalized, <see cref="Plane"/>.</param>
    /// <param name="g">∂L/∂y, <see cref="Pixels"/>.</param>
    /// <param name="taps">As <see cref="Forward"/> found them.</param>
    /// <param name="gradient"><see cref="Plane"/>.</param>
    /// <param name="isFresh">The gradient holds nothing yet; else it is added to.</param>
    public void Backward(int lane, NormalizedSlope<T> slope, ReadOnlySpan<T> x, ReadOnlySpan<T> g, ReadOnlySpan<T> taps, Span<T> gradient, bool isFresh)
    {
        if (isFresh && _isPairs)
        {
            var pixels = new PixelSlope((NormalizedSlope<float>)(object)slope);
            PairPool.Backward(pixels, MemoryMarshal.Cast<T, float>(x), _width, MemoryMarshal.Cast<T, float>(g), MemoryMarshal.Cast<T, float>(taps), MemoryMarshal.Cast<T, float>(gradient));
            return;
        }
        var plane = PlaneOf(lane);
        Backward(lane, g, taps, plane, isFresh: true);
        Vectors.Give(isFresh, new Slope<T, PlainPlanes<T>.Second>(slope, new()), x, plane, gradient);
    }

    private Span<T> PlaneOf(int lane) => _planes[lane] ??= new T[Plane];

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

    private readonly struct Negation : IVectorFunction<T>
    {
        public Vector<T> Apply(Vector<T> x, Vector<T> y) => -x;
    }

    /// <summary>What comes back, as it is.</summary>
    private readonly struct Alone : IPixelFunction
    {
        public Vector128<float> Apply(Vector128<float> x, Vector128<float> g) => g;
    }

    private readonly struct PixelSlope(NormalizedSlope<float> slope) : IPixelFunction
    {
        private readonly Vector128<float> _factor = Vector128.Create(slope.Factor), _mean = Vector128.Create(slope.Mean), _along = Vector128.Create(slope.Along), _shift = Vector128.Create(slope.Shift);

        public Vector128<float> Apply(Vector128<float> x, Vector128<float> g) => (g * _factor) + ((x - _mean) * _along) + _shift;
    }
}
