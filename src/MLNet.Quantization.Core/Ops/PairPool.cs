using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace MLNet.Quantization.Ops;

/// <summary>What <see cref="PairPool.Backward"/> writes at four pixels.</summary>
internal interface IPixelFunction
{
    /// <param name="x">What was pooled.</param>
    /// <param name="g">What comes back: 0 where the pixel is not the greatest of its window.</param>
    Vector128<float> Apply(Vector128<float> x, Vector128<float> g);
}

/// <summary>
/// The greatest of each 2 x 2 pixels of a plane, float32, and back: the usual pool, four windows at a time. The last four of a line overlap
/// those before.
/// </summary>
internal static class PairPool
{
    private const int Width = 4;

    /// <summary>True where windows of 2 x 2 stand side by side and fill the plane, at least four in a line.</summary>
    public static bool Fits(PoolShape shape) => shape is
    {
        Window: { Depth: 1, Height: 2, Width: 2 }, Strides: { Height: 2, Width: 2 }, Dilations: { Height: 1, Width: 1 }, Before: { Height: 0, Width: 0 }, Input.Depth: 1, Output.Width: >= Width,
    } && shape.Input.Height == 2 * shape.Output.Height && shape.Input.Width == 2 * shape.Output.Width;

    /// <param name="x">Lines of pixels.</param>
    /// <param name="count">Windows in a line.</param>
    /// <param name="sign">1 for the greatest, -1 for the least.</param>
    /// <param name="y">A quarter as many.</param>
    /// <param name="taps">As many: 0 to 3, the first of the greatest in the order of lines.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Forward(ReadOnlySpan<float> x, int count, float sign, Span<float> y, Span<float> taps)
    {
        Check(x.Length, y.Length, taps.Length);
        ref float px = ref MemoryMarshal.GetReference(x), py = ref MemoryMarshal.GetReference(y), pt = ref MemoryMarshal.GetReference(taps);
        Vector128<float> signs = Vector128.Create(sign), one = Vector128.Create(1f), two = Vector128.Create(2f), three = Vector128.Create(3f);
        for (int line = 0; line < y.Length; line += count)
            for (int j = 0; j < count; j += Width)
            {
                int at = Math.Min(j, count - Width);
                var (best, odd) = Separate(ref px, (4 * line) + (2 * at));
                var (even, last) = Separate(ref px, (4 * line) + (2 * (count + at)));
                best *= signs;
                var tap = Vector128<float>.Zero;
                Take(odd * signs, one, ref best, ref tap);
                Take(even * signs, two, ref best, ref tap);
                Take(last * signs, three, ref best, ref tap);
                (best * signs).StoreUnsafe(ref py, (nuint)(line + at));
                tap.StoreUnsafe(ref pt, (nuint)(line + at));
            }
    }

    /// <summary>Gives g to the pixel of each window that is the greatest, and 0 to the others.</summary>
    /// <param name="function">What is written for each pixel.</param>
    /// <param name="x">What was pooled.</param>
    /// <param name="count">Windows in a line.</param>
    /// <param name="g">∂L/∂y.</param>
    /// <param name="taps">As <see cref="Forward"/> found them.</param>
    /// <param name="gradient">Like x; overwritten.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Backward<TFunction>(TFunction function, ReadOnlySpan<float> x, int count, ReadOnlySpan<float> g, ReadOnlySpan<float> taps, Span<float> gradient) where TFunction : struct, IPixelFunction
    {
        Check(x.Length, g.Length, taps.Length);
        Check(gradient.Length, g.Length, taps.Length);
        ref float px = ref MemoryMarshal.GetReference(x), pg = ref MemoryMarshal.GetReference(g), pt = ref MemoryMarshal.GetReference(taps), to = ref MemoryMarshal.GetReference(gradient);
        Vector128<float> one = Vector128.Create(1f), two = Vector128.Create(2f), three = Vector128.Create(3f);
        for (int line = 0; line < g.Length; line += count)
            for (int j = 0; j < count; j += Width)
            {
                int at = Math.Min(j, count - Width);
                Vector128<float> from = Vector128.LoadUnsafe(ref pg, (nuint)(line + at)), tap = Vector128.LoadUnsafe(ref pt, (nuint)(line + at));
                Write(function, Where(tap, Vector128<float>.Zero, from), Where(tap, one, from), ref px, ref to, (4 * line) + (2 * at));
                Write(function, Where(tap, two, from), Where(tap, three, from), ref px, ref to, (4 * line) + (2 * (count + at)));
            }
    }

    private static void Check(int pixels, int windows, int taps)
    {
        if (pixels != 4 * windows || taps != windows) throw new ArgumentException($"{pixels} pixels do not make {windows} windows and {taps} taps.");
    }

    /// <summary>Eight pixels of a line: those at even and those at odd places.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector128<float> Even, Vector128<float> Odd) Separate(ref float x, int at)
    {
        Vector128<float> a = Vector128.LoadUnsafe(ref x, (nuint)at), b = Vector128.LoadUnsafe(ref x, (nuint)(at + Width));
        if (Sse.IsSupported) return (Sse.Shuffle(a, b, 0b10_00_10_00), Sse.Shuffle(a, b, 0b11_01_11_01));
        if (AdvSimd.Arm64.IsSupported) return (AdvSimd.Arm64.UnzipEven(a, b), AdvSimd.Arm64.UnzipOdd(a, b));
        return (Vector128.Create(a[0], a[2], b[0], b[2]), Vector128.Create(a[1], a[3], b[1], b[3]));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<TFunction>(TFunction function, Vector128<float> even, Vector128<float> odd, ref float x, ref float to, int at) where TFunction : struct, IPixelFunction
    {
        var (low, high) = Sse.IsSupported ? (Sse.UnpackLow(even, odd), Sse.UnpackHigh(even, odd))
            : AdvSimd.Arm64.IsSupported ? (AdvSimd.Arm64.ZipLow(even, odd), AdvSimd.Arm64.ZipHigh(even, odd))
            : (Vector128.Create(even[0], odd[0], even[1], odd[1]), Vector128.Create(even[2], odd[2], even[3], odd[3]));
        function.Apply(Vector128.LoadUnsafe(ref x, (nuint)at), low).StoreUnsafe(ref to, (nuint)at);
        function.Apply(Vector128.LoadUnsafe(ref x, (nuint)(at + Width)), high).StoreUnsafe(ref to, (nuint)(at + Width));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Where(Vector128<float> tap, Vector128<float> number, Vector128<float> g) => Vector128.Equals(tap, number) & g;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Take(Vector128<float> x, Vector128<float> number, ref Vector128<float> best, ref Vector128<float> tap)
    {
        var isGreater = Vector128.GreaterThan(x, best);
        best = Vector128.ConditionalSelect(isGreater, x, best);
        tap = Vector128.ConditionalSelect(isGreater, number, tap);
    }
}
