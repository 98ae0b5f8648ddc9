using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MLNet.Quantization.Ops;

/// <summary>
/// The greatest of each 2 x 2 pixels of a plane, float32, and back: the usual pool, in vectors. Lines may end within a vector: what is
/// written behind one is overwritten by the next, and memory has room behind the last.
/// </summary>
/// <param name="height">Even.</param>
/// <param name="width">Even.</param>
internal sealed class PairPool(int height, int width)
{
    private readonly int _count = width / 2;

    private readonly float[] _even = new float[Room(height * width / 2)], _odd = new float[Room(height * width / 2)], _best = new float[Room(height * width / 4)], _taps = new float[Room(height * width / 4)];

    private readonly float[] _lines = new float[Room(height * width)];

    /// <summary>True where windows of 2 x 2 stand side by side and fill the plane.</summary>
    public static bool Fits(PoolShape shape) => shape is
    {
        Window: { Depth: 1, Height: 2, Width: 2 }, Strides: { Height: 2, Width: 2 }, Dilations: { Height: 1, Width: 1 }, Before: { Height: 0, Width: 0 }, Input.Depth: 1,
    } && shape.Input.Height == 2 * shape.Output.Height && shape.Input.Width == 2 * shape.Output.Width;

    private static int Room(int count) => count + (2 * Vector<float>.Count);

    /// <param name="x">[height, width].</param>
    /// <param name="y">[height / 2, width / 2].</param>
    /// <param name="taps">As many: 0 to 3, the first of the greatest in the order of lines.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Forward(ReadOnlySpan<float> x, Span<float> y, Span<float> taps)
    {
        Separate(x);
        Vector<float> one = Vector<float>.One, two = one + one, three = two + one;
        for (int line = 0; line < height / 2; line++)
            for (int j = 0; j < _count; j += Vector<float>.Count)
            {
                int above = (2 * line * _count) + j, below = above + _count, to = (line * _count) + j;
                Vector<float> best = new(_even, above), tap = Vector<float>.Zero;
                Take(new(_odd, above), one, ref best, ref tap);
                Take(new(_even, below), two, ref best, ref tap);
                Take(new(_odd, below), three, ref best, ref tap);
                best.CopyTo(_best, to);
                tap.CopyTo(_taps, to);
            }
        _best.AsSpan(0, y.Length).CopyTo(y);
        _taps.AsSpan(0, y.Length).CopyTo(taps);
    }

    /// <param name="g">[height / 2, width / 2].</param>
    /// <param name="taps">As <see cref="Forward"/> found them.</param>
    /// <param name="gradient">[height, width], overwritten.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Backward(ReadOnlySpan<float> g, ReadOnlySpan<float> taps, Span<float> gradient)
    {
        g.CopyTo(_best);
        taps.CopyTo(_taps);
        var one = Vector<float>.One;
        for (int line = 0; line < height / 2; line++)
            for (int half = 0; half < 2; half++)
                for (int j = 0; j < _count; j += Vector<float>.Count)
                {
                    Vector<float> from = new(_best, (line * _count) + j), tap = new Vector<float>(_taps, (line * _count) + j) - new Vector<float>(2f * half);
                    Vector.Widen(Vector.AsVectorUInt32(Vector.ConditionalSelect(Vector.Equals(tap, Vector<float>.Zero), from, Vector<float>.Zero)), out var low, out var high);
                    Vector.Widen(Vector.AsVectorUInt32(Vector.ConditionalSelect(Vector.Equals(tap, one), from, Vector<float>.Zero)), out var oddLow, out var oddHigh);
                    int to = (((2 * line) + half) * width) + (2 * j);
                    Vector.AsVectorSingle(low | (oddLow << 32)).CopyTo(_lines, to);
                    Vector.AsVectorSingle(high | (oddHigh << 32)).CopyTo(_lines, to + Vector<float>.Count);
                }
        _lines.AsSpan(0, gradient.Length).CopyTo(gradient);
    }

    /// <summary>Pixels at even and at odd places of their lines.</summary>
    private void Separate(ReadOnlySpan<float> x)
    {
        var pairs = MemoryMarshal.Cast<float, ulong>(x);
        int i = 0, pairsOfVector = Vector<ulong>.Count;
        for (; i <= pairs.Length - (2 * pairsOfVector); i += 2 * pairsOfVector)
        {
            Vector<ulong> first = new(pairs[i..]), second = new(pairs[(i + pairsOfVector)..]);
            Vector.AsVectorSingle(Vector.Narrow(first, second)).CopyTo(_even, i);
            Vector.AsVectorSingle(Vector.Narrow(first >> 32, second >> 32)).CopyTo(_odd, i);
        }
        for (; i < pairs.Length; i++) (_even[i], _odd[i]) = (x[2 * i], x[(2 * i) + 1]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Take(Vector<float> x, Vector<float> number, ref Vector<float> best, ref Vector<float> tap)
    {
        var isGreater = Vector.GreaterThan(x, best);
        best = Vector.ConditionalSelect(isGreater, x, best);
        tap = Vector.ConditionalSelect(isGreater, number, tap);
    }
}
