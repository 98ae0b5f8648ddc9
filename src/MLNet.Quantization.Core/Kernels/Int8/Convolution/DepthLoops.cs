using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Kernels;

/// <summary>One block of channels of a depthwise convolution.</summary>
internal unsafe struct DepthBlock
{
    /// <summary>Words from a window's first pixel to each tap, an even number of them.</summary>
    public long* Offsets;

    public int Taps;

    /// <summary>[pair of taps][lower, upper half][channel][tap of the pair].</summary>
    public short* Weights;

    public DepthStage Stage;

    /// <summary>Lines of output pixels, and the pixels of each.</summary>
    public int Lines, Width;

    /// <summary>Words from one window to the next, and from one line of windows to the next.</summary>
    public long Step, LineStep;

    /// <summary>From one pixel's codes to the next, and from one line's.</summary>
    public long CodeStep, LineCodes;

    /// <summary>Channels of the block that exist.</summary>
    public int Channels;
}

/// <summary>Whether all channels of a block exist. The copying that the others take is a call, which would cost the loop its registers.</summary>
internal interface IBlockPart
{
    static abstract bool IsPart { get; }
}

internal readonly struct WholeBlock : IBlockPart
{
    public static bool IsPart => false;
}

internal readonly struct PartOfBlock : IBlockPart
{
    public static bool IsPart => true;
}

/// <summary>The loops over lines of pixels.</summary>
internal static unsafe class DepthLoops
{
    private const int MostChannels = 64;

    /// <summary>Any window; two pixels at a time, so that they share the weights.</summary>
    /// <param name="block">Taps, weights and output.</param>
    /// <param name="pixels">First window, at the block's first channel.</param>
    /// <param name="to">First code.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    public static void Any<TPart, TLanes, TWords, TWeights, TSums>(in DepthBlock block, short* pixels, byte* to)
        where TPart : IBlockPart where TLanes : IDepthLanes<TWords, TWeights, TSums> where TWords : unmanaged where TWeights : unmanaged where TSums : unmanaged
    {
        byte* tail = stackalloc byte[MostChannels];
        int half = Math.Max(2, TLanes.Channels), pairs = (block.Taps + 1) / 2;
        var stage = block.Stage;
        long* offsets = block.Offsets;
        int width = block.Width, channels = block.Channels;
        long step = block.Step, toStep = block.CodeStep;
        for (int x = 0, line = 0; line < block.Lines; x += 2)
        {
            if (x >= width)
            {
                x = -2;
                line++;
                pixels += block.LineStep;
                to += block.LineCodes;
                continue;
            }
            bool two = x + 1 < width;
            short* p = pixels + (x * step), q = two ? p + step : p;
            TSums lower = default, upper = default, lower2 = default, upper2 = default;
            short* w = block.Weights;
            for (int i = 0; i < 2 * pairs; i += 2, w += 2 * half)
            {
                long first = offsets[i], second = offsets[i + 1];
                TWords a = TLanes.Load(p + first), b = TLanes.Load(p + second), c = TLanes.Load(q + first), d = TLanes.Load(q + second);
                TWeights u = TLanes.LoadWeights(w), v = TLanes.LoadWeights(w + half);
                lower = TLanes.AddLower(lower, a, b, u);
                upper = TLanes.AddUpper(upper, a, b, v);
                lower2 = TLanes.AddLower(lower2, c, d, u);
                upper2 = TLanes.AddUpper(upper2, c, d, v);
            }
            byte* at = to + (x * toStep);
            Store<TPart, TLanes, TWords, TWeights, TSums>(lower, upper, stage, at, channels, tail);
            if (two) Store<TPart, TLanes, TWords, TWeights, TSums>(lower2, upper2, stage, at + toStep, channels, tail);
        }
    }

    /// <summary>A window of nine taps, as 3 by 3 has: the weights stay in registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    public static void Nine<TPart, TLanes, TWords, TWeights, TSums>(in DepthBlock block, short* pixels, byte* to)
        where TPart : IBlockPart where TLanes : IDepthLanes<TWords, TWeights, TSums> where TWords : unmanaged where TWeights : unmanaged where TSums : unmanaged
    {
        byte* tail = stackalloc byte[MostChannels];
        int half = Math.Max(2, TLanes.Channels);
        var stage = block.Stage;
        long* o = block.Offsets;
        long o0 = o[0], o1 = o[1], o2 = o[2], o3 = o[3], o4 = o[4], o5 = o[5], o6 = o[6], o7 = o[7], o8 = o[8];
        short* w = block.Weights;
        TWeights l0 = TLanes.LoadWeights(w), u0 = TLanes.LoadWeights(w + half), l1 = TLanes.LoadWeights(w + (2 * half)), u1 = TLanes.LoadWeights(w + (3 * half));
        TWeights l2 = TLanes.LoadWeights(w + (4 * half)), u2 = TLanes.LoadWeights(w + (5 * half)), l3 = TLanes.LoadWeights(w + (6 * half)), u3 = TLanes.LoadWeights(w + (7 * half));
        TWeights l4 = TLanes.LoadWeights(w + (8 * half)), u4 = TLanes.LoadWeights(w + (9 * half));
        int width = block.Width, channels = block.Channels;
        long step = block.Step, toStep = block.CodeStep, lineStep = block.LineStep - (width * step), toLine = block.LineCodes - (width * toStep);
        for (int x = 0, line = 0; line < block.Lines; x++, pixels += step, to += toStep)
        {
            if (x == width)
            {
                x = -1;
                line++;
                pixels += lineStep - step;
                to += toLine - toStep;
                continue;
            }
            TWords a = TLanes.Load(pixels + o0), b = TLanes.Load(pixels + o1), c = TLanes.Load(pixels + o2), d = TLanes.Load(pixels + o3);
            TSums lower = TLanes.AddLower(default, a, b, l0), upper = TLanes.AddUpper(default, a, b, u0);
            TSums lower2 = TLanes.AddLower(default, c, d, l1), upper2 = TLanes.AddUpper(default, c, d, u1);
            a = TLanes.Load(pixels + o4);
            b = TLanes.Load(pixels + o5);
            c = TLanes.Load(pixels + o6);
            d = TLanes.Load(pixels + o7);
            lower = TLanes.AddLower(lower, a, b, l2);
            upper = TLanes.AddUpper(upper, a, b, u2);
            lower2 = TLanes.AddLower(lower2, c, d, l3);
            upper2 = TLanes.AddUpper(upper2, c, d, u3);
            a = TLanes.Load(pixels + o8);
            lower = TLanes.AddLower(lower, a, a, l4);
            upper = TLanes.AddUpper(upper, a, a, u4);
            Store<TPart, TLanes, TWords, TWeights, TSums>(TLanes.Sum(lower, lower2), TLanes.Sum(upper, upper2), stage, to, channels, tail);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<TPart, TLanes, TWords, TWeights, TSums>(TSums lower, TSums upper, in DepthStage stage, byte* to, int channels, byte* tail)
        where TPart : IBlockPart where TLanes : IDepthLanes<TWords, TWeights, TSums> where TWords : unmanaged where TWeights : unmanaged where TSums : unmanaged
    {
        if (!TPart.IsPart)
        {
            TLanes.StoreCodes(lower, upper, stage, to);
            return;
        }
        TLanes.StoreCodes(lower, upper, stage, tail);
        Unsafe.CopyBlockUnaligned(to, tail, (uint)channels);
    }
}
