using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// What the loop of the depthwise convolution needs of an instruction set. Two taps of a channel are multiplied and summed at once: their
/// words are zipped, so that sums come in two halves, the lower having channels 0 to 3 of every eight, the upper 4 to 7.
/// </summary>
/// <typeparam name="TWords">One tap of <see cref="Channels"/> channels, int16.</typeparam>
/// <typeparam name="TWeights">Weights of half the channels for two taps, int16.</typeparam>
/// <typeparam name="TSums">Sums of half the channels, int32.</typeparam>
internal unsafe interface IDepthLanes<TWords, TWeights, TSums> where TWords : unmanaged where TWeights : unmanaged where TSums : unmanaged
{
    static abstract bool IsSupported { get; }

    static abstract int Channels { get; }

    static abstract TWords Load(short* words);

    /// <summary>[channel of the half][tap of the two].</summary>
    static abstract TWeights LoadWeights(short* weights);

    /// <summary>Adds a · w[.., 0] + b · w[.., 1] of the lower half of the channels.</summary>
    static abstract TSums AddLower(TSums sums, TWords a, TWords b, TWeights weights);

    static abstract TSums AddUpper(TSums sums, TWords a, TWords b, TWeights weights);

    static abstract TSums Sum(TSums a, TSums b);

    /// <summary>The formula of <see cref="NaiveInt8.Requantize"/> for all channels, whose codes are stored in order.</summary>
    static abstract void StoreCodes(TSums lower, TSums upper, in DepthStage stage, byte* to);
}

/// <summary>Constants of the output stage; <see cref="Offsets"/> and <see cref="Scales"/> lie in the order of the two halves of sums.</summary>
internal unsafe struct DepthStage
{
    public int* Offsets;
    public float* Scales;
    public float Low, High;
    public int ZeroPoint;
}

internal readonly unsafe struct DepthLanes512 : IDepthLanes<Vector512<short>, Vector512<short>, Vector512<int>>
{
    public static bool IsSupported => Avx512BW.IsSupported;

    public static int Channels => 32;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<short> Load(short* words) => Vector512.Load(words);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<short> LoadWeights(short* weights) => Vector512.Load(weights);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> AddLower(Vector512<int> sums, Vector512<short> a, Vector512<short> b, Vector512<short> weights) =>
        sums + Avx512BW.MultiplyAddAdjacent(Avx512BW.UnpackLow(a, b), weights);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> AddUpper(Vector512<int> sums, Vector512<short> a, Vector512<short> b, Vector512<short> weights) =>
        sums + Avx512BW.MultiplyAddAdjacent(Avx512BW.UnpackHigh(a, b), weights);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Sum(Vector512<int> a, Vector512<int> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreCodes(Vector512<int> lower, Vector512<int> upper, in DepthStage stage, byte* to)
    {
        var words = Avx512BW.PackSignedSaturate(Requantize(lower, stage, 0), Requantize(upper, stage, 16));
        Avx512BW.ConvertToVector256Byte(words.AsUInt16()).Store(to);
    }

    /// <summary>vmaxps gives its second source where the first is NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Requantize(Vector512<int> sums, in DepthStage stage, int at)
    {
        var v = Vector512.ConvertToSingle(sums + Vector512.Load(stage.Offsets + at)) * Vector512.Load(stage.Scales + at);
        v = Avx512F.Min(Avx512F.Max(v, Vector512.Create(stage.Low)), Vector512.Create(stage.High));
        return Avx512F.ConvertToVector512Int32(v) + Vector512.Create(stage.ZeroPoint);
    }
}

internal readonly unsafe struct DepthLanes256 : IDepthLanes<Vector256<short>, Vector256<short>, Vector256<int>>
{
    public static bool IsSupported => Avx2.IsSupported;

    public static int Channels => 16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<short> Load(short* words) => Vector256.Load(words);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<short> LoadWeights(short* weights) => Vector256.Load(weights);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> AddLower(Vector256<int> sums, Vector256<short> a, Vector256<short> b, Vector256<short> weights) =>
        sums + Avx2.MultiplyAddAdjacent(Avx2.UnpackLow(a, b), weights);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> AddUpper(Vector256<int> sums, Vector256<short> a, Vector256<short> b, Vector256<short> weights) =>
        sums + Avx2.MultiplyAddAdjacent(Avx2.UnpackHigh(a, b), weights);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Sum(Vector256<int> a, Vector256<int> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreCodes(Vector256<int> lower, Vector256<int> upper, in DepthStage stage, byte* to)
    {
        var words = Avx2.PackSignedSaturate(Requantize(lower, stage, 0), Requantize(upper, stage, 8)).AsUInt16();
        Vector128.Narrow(words.GetLower(), words.GetUpper()).Store(to);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Requantize(Vector256<int> sums, in DepthStage stage, int at)
    {
        var v = Vector256.ConvertToSingle(sums + Vector256.Load(stage.Offsets + at)) * Vector256.Load(stage.Scales + at);
        v = Avx.Min(Avx.Max(v, Vector256.Create(stage.Low)), Vector256.Create(stage.High));
        return Avx.ConvertToVector256Int32(v) + Vector256.Create(stage.ZeroPoint);
    }
}

internal readonly unsafe struct DepthLanesArm : IDepthLanes<Vector128<short>, Vector128<short>, Vector128<int>>
{
    public static bool IsSupported => AdvSimd.Arm64.IsSupported;

    public static int Channels => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<short> Load(short* words) => Vector128.Load(words);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<short> LoadWeights(short* weights) => Vector128.Load(weights);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> AddLower(Vector128<int> sums, Vector128<short> a, Vector128<short> b, Vector128<short> weights) => Add(sums, a.GetLower(), b.GetLower(), weights);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> AddUpper(Vector128<int> sums, Vector128<short> a, Vector128<short> b, Vector128<short> weights) => Add(sums, a.GetUpper(), b.GetUpper(), weights);

    /// <summary>Weights lie zipped, for the instructions that sum neighbours; here they are unzipped.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Add(Vector128<int> sums, Vector64<short> a, Vector64<short> b, Vector128<short> w)
    {
        sums = AdvSimd.MultiplyWideningLowerAndAdd(sums, a, AdvSimd.Arm64.UnzipEven(w, w).GetLower());
        return AdvSimd.MultiplyWideningLowerAndAdd(sums, b, AdvSimd.Arm64.UnzipOdd(w, w).GetLower());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Sum(Vector128<int> a, Vector128<int> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreCodes(Vector128<int> lower, Vector128<int> upper, in DepthStage stage, byte* to)
    {
        var words = Vector128.Narrow(Requantize(lower, stage, 0), Requantize(upper, stage, 4)).AsUInt16();
        Vector128.Narrow(words, words).GetLower().Store(to);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Requantize(Vector128<int> sums, in DepthStage stage, int at)
    {
        Vector128<float> low = Vector128.Create(stage.Low), high = Vector128.Create(stage.High);
        var v = Vector128.ConvertToSingle(sums + Vector128.Load(stage.Offsets + at)) * Vector128.Load(stage.Scales + at);
        v = Vector128.ConditionalSelect(Vector128.GreaterThanOrEqual(v, low), v, low);
        v = Vector128.ConditionalSelect(Vector128.GreaterThan(v, high), high, v);
        return Vector128.ConvertToInt32(Vector128.Round(v)) + Vector128.Create(stage.ZeroPoint);
    }
}

/// <summary>One channel; there is no upper half.</summary>
internal readonly unsafe struct DepthLanesScalar : IDepthLanes<short, (short First, short Second), int>
{
    public static bool IsSupported => true;

    public static int Channels => 1;

    public static short Load(short* words) => *words;

    public static (short First, short Second) LoadWeights(short* weights) => (weights[0], weights[1]);

    public static int AddLower(int sums, short a, short b, (short First, short Second) weights) => sums + (a * weights.First) + (b * weights.Second);

    public static int AddUpper(int sums, short a, short b, (short First, short Second) weights) => sums;

    public static int Sum(int a, int b) => a + b;

    public static void StoreCodes(int lower, int upper, in DepthStage stage, byte* to) =>
        *to = NaiveInt8.Requantize(lower + *stage.Offsets, *stage.Scales, stage.ZeroPoint, stage.Low, stage.High);
}
