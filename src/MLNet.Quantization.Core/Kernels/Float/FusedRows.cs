using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// Functions of rows whose elements all depend on each other, each row in as few passes as there are such dependences. Sums are those of
/// <see cref="FloatReductions"/>, bit for bit.
/// </summary>
internal static unsafe class FusedRows
{
    private const int VirtualLanes = FloatReductions.VirtualLanes;

    /// <summary>y = e^(x - max x) / Σ e^(x - max x), each row.</summary>
    /// <param name="x">[rows, n].</param>
    /// <param name="n">0 or more.</param>
    /// <param name="y">[rows, n]; may be <paramref name="x"/> itself.</param>
    /// <param name="tier">Null: <see cref="FloatTier.Best"/>.</param>
    public static void Softmax(ReadOnlySpan<float> x, int n, Span<float> y, FloatTier? tier = null)
    {
        if (n == 0) return;
        int rows = x.Length / n;
        fixed (float* px = &MemoryMarshal.GetReference(x), py = &MemoryMarshal.GetReference(y))
        {
            switch ((tier ?? FloatTier.Best).Lanes)
            {
                case 16: Softmax<Lanes512, Vector512<float>, Vector512<int>>(px, rows, n, py); break;
                case 8: Softmax<Lanes256, Vector256<float>, Vector256<int>>(px, rows, n, py); break;
                case 4: Softmax<Lanes128, Vector128<float>, Vector128<int>>(px, rows, n, py); break;
                default: Softmax<LanesScalar, float, int>(px, rows, n, py); break;
            }
        }
    }

    /// <summary>
    /// What does not fill 16 lanes is padded by -infinity: no maximum, and e^ of it adds 0, which changes no sum of what is positive. Nothing
    /// is carried from row to row, so that a processor works on several short rows at once.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    private static void Softmax<L, TFloats, TInts>(float* x, int rows, int n, float* y) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        int whole = n / VirtualLanes * VirtualLanes, rest = n - whole;
        float* lanes = stackalloc float[VirtualLanes], tail = stackalloc float[VirtualLanes];
        var nothing = L.Create(float.NegativeInfinity);
        for (int row = 0; row < rows; row++, x += n, y += n)
        {
            for (int l = 0; l < VirtualLanes; l += L.Count)
            {
                var greatest = nothing;
                for (int i = l; i < whole; i += VirtualLanes) greatest = FloatReductions.MaxFunction.Apply<L, TFloats, TInts>(greatest, L.Load(x + i));
                if (rest > l) greatest = FloatReductions.MaxFunction.Apply<L, TFloats, TInts>(greatest, Rest<L, TFloats, TInts>(x + whole, l, rest));
                L.Store(greatest, lanes + l);
            }
            var max = L.Create(FloatReductions.Join<FloatReductions.MaxFunction>(lanes));
            for (int l = 0; l < VirtualLanes; l += L.Count)
            {
                var sum = L.Create(-0f);
                for (int i = l; i < whole; i += VirtualLanes)
                {
                    var power = ExpFunction.Of<L, TFloats, TInts>(L.Subtract(L.Load(x + i), max));
                    L.Store(power, y + i);
                    sum = L.Add(sum, power);
                }
                if (rest > l)
                {
                    var power = ExpFunction.Of<L, TFloats, TInts>(L.Subtract(Rest<L, TFloats, TInts>(x + whole, l, rest), max));
                    sum = L.Add(sum, power);
                    L.Store(power, tail + l);
                }
                L.Store(sum, lanes + l);
            }
            var divisor = L.Create(FloatReductions.Join<AddFunction>(lanes));
            for (int i = 0; i < whole; i += L.Count) L.Store(L.Divide(L.Load(y + i), divisor), y + i);
            for (int l = 0; l < rest; l += L.Count) L.Store(L.Divide(L.Load(tail + l), divisor), tail + l);
            // One by one: loads of the next row would wait for a masked store that reaches over it.
            for (int i = 0; i < rest; i++) y[whole + i] = tail[i];
        }
    }

    /// <summary>Lanes from <paramref name="l"/> on of the last values of a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TFloats Rest<L, TFloats, TInts>(float* x, int l, int rest) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        L.LoadFirst(x + l, Math.Min(rest - l, L.Count), L.Create(float.NegativeInfinity));

    /// <summary>y = (x - mean) · (1 / √(variance + epsilon)) · scale + bias, each row; each step rounded.</summary>
    /// <param name="x">[rows, n].</param>
    /// <param name="rows">Rows.</param>
    /// <param name="n">1 or more.</param>
    /// <param name="epsilon">Added to the variance.</param>
    /// <param name="scale">n, or 1.</param>
    /// <param name="bias">n, or 1, or empty.</param>
    /// <param name="y">[rows, n].</param>
    /// <param name="means">rows, or null.</param>
    /// <param name="factors">rows, or null.</param>
    /// <param name="tier">Null: <see cref="FloatTier.Best"/>.</param>
    public static void LayerNormalization(float* x, int rows, int n, float epsilon, ReadOnlySpan<float> scale, ReadOnlySpan<float> bias, float* y, float* means, float* factors, FloatTier? tier = null)
    {
        fixed (float* s = &MemoryMarshal.GetReference(scale), b = bias)
        {
            int scaleStep = scale.Length == 1 ? 0 : 1, biasStep = bias.Length == 1 ? 0 : 1;
            for (int row = 0; row < rows; row++, x += n, y += n)
            {
                var (mean, factor) = (tier ?? FloatTier.Best).Lanes switch
                {
                    16 => Normalize<Lanes512, Vector512<float>, Vector512<int>>(x, n, epsilon, s, scaleStep, b, biasStep, y),
                    8 => Normalize<Lanes256, Vector256<float>, Vector256<int>>(x, n, epsilon, s, scaleStep, b, biasStep, y),
                    4 => Normalize<Lanes128, Vector128<float>, Vector128<int>>(x, n, epsilon, s, scaleStep, b, biasStep, y),
                    _ => Normalize<LanesScalar, float, int>(x, n, epsilon, s, scaleStep, b, biasStep, y),
                };
                if (means != null) means[row] = mean;
                if (factors != null) factors[row] = factor;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    private static (float Mean, float Factor) Normalize<L, TFloats, TInts>(float* x, int n, float epsilon, float* scale, int scaleStep, float* bias, int biasStep, float* y)
        where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        int whole = n / VirtualLanes * VirtualLanes;
        float* lanes = stackalloc float[VirtualLanes];
        for (int l = 0; l < VirtualLanes; l += L.Count)
        {
            var sum = L.Create(-0f);
            for (int i = l; i < whole; i += VirtualLanes) sum = L.Add(sum, L.Load(x + i));
            L.Store(sum, lanes + l);
        }
        for (int i = whole; i < n; i++) lanes[i - whole] += x[i];
        float mean = FloatReductions.Join<AddFunction>(lanes) / n;
        var means = L.Create(mean);
        for (int l = 0; l < VirtualLanes; l += L.Count)
        {
            var sum = L.Create(-0f);
            for (int i = l; i < whole; i += VirtualLanes)
            {
                var centered = L.Subtract(L.Load(x + i), means);
                sum = L.Add(sum, L.Multiply(centered, centered));
            }
            L.Store(sum, lanes + l);
        }
        for (int i = whole; i < n; i++) lanes[i - whole] += (x[i] - mean) * (x[i] - mean);
        float factor = 1 / MathF.Sqrt((FloatReductions.Join<AddFunction>(lanes) / n) + epsilon);
        var factors = L.Create(factor);
        TFloats oneScale = L.Create(scale[0]), oneBias = L.Create(bias == null ? 0 : bias[0]);
        int at = 0;
        for (; at <= n - L.Count; at += L.Count)
        {
            var value = L.Multiply(L.Multiply(L.Subtract(L.Load(x + at), means), factors), scaleStep == 0 ? oneScale : L.Load(scale + at));
            L.Store(bias == null ? value : L.Add(value, biasStep == 0 ? oneBias : L.Load(bias + at)), y + at);
        }
        for (; at < n; at++)
        {
            float value = (x[at] - mean) * factor * scale[at * scaleStep];
            y[at] = bias == null ? value : value + bias[at * biasStep];
        }
        return (mean, factor);
    }
}
