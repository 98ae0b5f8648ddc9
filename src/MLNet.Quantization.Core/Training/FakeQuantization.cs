using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Training;

/// <summary>
/// Quantize, then dequantize, in one pass, and the straight-through way back (Bengio et al., "Estimating or Propagating Gradients Through
/// Stochastic Neurons", 2013): r' = S · round(clamp(r / S, low, high)), the bits of <see cref="Quantizer.Value"/> of <see cref="Quantizer.Code"/>.
/// low and high are the ends of the grid less the zero point.
/// </summary>
internal static class FakeQuantization
{
    /// <param name="x">n.</param>
    /// <param name="scale">S: n, or 1 for all.</param>
    /// <param name="low">qmin - Z.</param>
    /// <param name="high">qmax - Z.</param>
    /// <param name="y">n.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Forward<T>(ReadOnlySpan<T> x, ReadOnlySpan<T> scale, int low, int high, Span<T> y) where T : unmanaged, IFloatingPointIeee754<T>
    {
        CheckLengths(x, scale, y);
        var form = new Form<T>(low, high);
        ref T px = ref MemoryMarshal.GetReference(x), ps = ref MemoryMarshal.GetReference(scale), py = ref MemoryMarshal.GetReference(y);
        bool one = scale.Length == 1;
        var s = new Vector<T>(scale[0]);
        int i = 0;
        for (; i <= x.Length - Vector<T>.Count; i += Vector<T>.Count)
        {
            if (!one) s = Vector.LoadUnsafe(ref ps, (nuint)i);
            (s * form.Code(Vector.LoadUnsafe(ref px, (nuint)i) / s)).StoreUnsafe(ref py, (nuint)i);
        }
        for (; i < x.Length; i++)
        {
            T step = scale[one ? 0 : i];
            y[i] = step * form.Code(new Vector<T>(x[i] / step))[0];
        }
    }

    /// <summary>
    /// Adds to the gradient of x: the gradient at the output, where r / S lies within the grid or everywhere. And sums ∂r'/∂S times the
    /// gradient, which is round(r / S) - r / S inside and the end of the grid outside (Esser et al., "Learned Step Size Quantization", 2020, eq. 3).
    /// </summary>
    /// <param name="x">n.</param>
    /// <param name="scale">S: n, or 1 for all.</param>
    /// <param name="low">qmin - Z.</param>
    /// <param name="high">qmax - Z.</param>
    /// <param name="gradient">∂L/∂y, n.</param>
    /// <param name="clipped">True: nothing goes back where the value was clipped.</param>
    /// <param name="xGradient">n, added to; empty where none is wanted.</param>
    /// <param name="scaleGradient">As many as <paramref name="scale"/>, added to; empty where none is wanted.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Backward<T>(
        ReadOnlySpan<T> x, ReadOnlySpan<T> scale, int low, int high, ReadOnlySpan<T> gradient, bool clipped, Span<T> xGradient, Span<T> scaleGradient)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        CheckLengths(x, scale, gradient);
        var form = new Form<T>(low, high);
        bool one = scale.Length == 1, wantsX = !xGradient.IsEmpty, wantsScale = !scaleGradient.IsEmpty;
        var s = new Vector<T>(scale[0]);
        var sum = Vector<T>.Zero;
        int i = 0;
        for (; i <= x.Length - Vector<T>.Count; i += Vector<T>.Count)
        {
            if (!one) s = new(scale[i..]);
            var v = new Vector<T>(x[i..]) / s;
            var g = new Vector<T>(gradient[i..]);
            if (wantsX) (new Vector<T>(xGradient[i..]) + (clipped ? form.Inside(v, g) : g)).CopyTo(xGradient[i..]);
            if (!wantsScale) continue;
            var part = g * form.Slope(v);
            if (one) sum += part;
            else (new Vector<T>(scaleGradient[i..]) + part).CopyTo(scaleGradient[i..]);
        }
        if (wantsScale && one) scaleGradient[0] += Vector.Sum(sum);
        for (; i < x.Length; i++)
        {
            Vector<T> v = new(x[i] / scale[one ? 0 : i]), g = new(gradient[i]);
            if (wantsX) xGradient[i] += (clipped ? form.Inside(v, g) : g)[0];
            if (wantsScale) scaleGradient[one ? 0 : i] += (g * form.Slope(v))[0];
        }
    }

    private static void CheckLengths<T>(ReadOnlySpan<T> x, ReadOnlySpan<T> scale, ReadOnlySpan<T> y)
    {
        if (x.Length != y.Length || scale.Length != 1 && scale.Length != x.Length) throw new ArgumentException($"{x.Length} values, {scale.Length} scales and {y.Length} results do not go together.");
    }

    private readonly struct Form<T>(int low, int high) where T : unmanaged, IFloatingPointIeee754<T>
    {
        private readonly Vector<T> _low = new(T.CreateChecked(low)), _high = new(T.CreateChecked(high));

        /// <summary>Added to a number of small magnitude and taken away again, it leaves the number rounded half to even: 1.5 · 2^23, or 1.5 · 2^52.</summary>
        private readonly Vector<T> _rounder = new(T.CreateChecked(typeof(T) == typeof(float) ? 12582912 : 6755399441055744));

        /// <summary>round(clamp(v)); NaN becomes the lowest.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector<T> Code(Vector<T> v)
        {
            v = Vector.ConditionalSelect(Vector.GreaterThanOrEqual(v, _low), v, _low);
            v = Vector.ConditionalSelect(Vector.GreaterThan(v, _high), _high, v);
            return v + _rounder - _rounder;
        }

        /// <summary>g where v lies within the grid, its ends included, else 0.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector<T> Inside(Vector<T> v, Vector<T> g) =>
            Vector.ConditionalSelect(Vector.GreaterThanOrEqual(v, _low) & Vector.LessThanOrEqual(v, _high), g, Vector<T>.Zero);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector<T> Slope(Vector<T> v) => Code(v) - Inside(v, v);
    }
}
