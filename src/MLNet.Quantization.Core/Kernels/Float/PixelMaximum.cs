using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Kernels;

/// <summary>How many elements a window has along each axis, and how many floats lie from one to the next.</summary>
internal readonly record struct WindowTaps(int Depth, int Height, int Width, long DepthStep, long HeightStep, long WidthStep);

/// <summary>The greatest of the pixels of a window, channel by channel, with the channels of a pixel side by side.</summary>
internal static unsafe class PixelMaximum
{
    /// <param name="x">First pixel of the window.</param>
    /// <param name="taps">The window.</param>
    /// <param name="channels">Channels of a pixel.</param>
    /// <param name="y">Channels: the greatest, NaN not counting; -infinity of nothing.</param>
    /// <param name="tier">Null: <see cref="FloatTier.Best"/>.</param>
    public static void Run(float* x, in WindowTaps taps, int channels, float* y, FloatTier? tier = null)
    {
        int done = (tier ?? FloatTier.Best).Lanes switch
        {
            16 => Run<Lanes512, Vector512<float>, Vector512<int>>(x, taps, 0, channels, y),
            8 => Run<Lanes256, Vector256<float>, Vector256<int>>(x, taps, 0, channels, y),
            4 => Run<Lanes128, Vector128<float>, Vector128<int>>(x, taps, 0, channels, y),
            _ => 0,
        };
        if (done < channels) _ = Run<LanesScalar, float, int>(x, taps, done, channels, y);
    }

    /// <summary>A vector of channels stays in a register for the whole of the window. Returns the channels that are done.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int Run<L, TFloats, TInts>(float* x, in WindowTaps taps, int channel, int channels, float* y)
        where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        for (; channel <= channels - L.Count; channel += L.Count)
        {
            var greatest = L.Create(float.NegativeInfinity);
            float* plane = x + channel;
            for (int d = 0; d < taps.Depth; d++, plane += taps.DepthStep)
            {
                float* line = plane;
                for (int h = 0; h < taps.Height; h++, line += taps.HeightStep)
                {
                    float* at = line;
                    for (int w = 0; w < taps.Width; w++, at += taps.WidthStep) greatest = FloatReductions.MaxFunction.Apply<L, TFloats, TInts>(greatest, L.Load(at));
                }
            }
            L.Store(greatest, y + channel);
        }
        return channel;
    }
}
