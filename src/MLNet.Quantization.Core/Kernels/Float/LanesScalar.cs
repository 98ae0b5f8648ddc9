using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Kernels;

/// <summary>One number at once: what the vectors do, said with the base library's plain arithmetic.</summary>
internal readonly unsafe struct LanesScalar : ILanes<float, int>
{
    public static int Count => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(float* from) => *from;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float value, float* to) => *to = value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float LoadFirst(float* from, int count, float others) => count > 0 ? *from : others;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreFirst(float value, float* to, int count)
    {
        if (count > 0) *to = value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Create(float value) => value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Create(int value) => value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Add(float x, float y) => x + y;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Subtract(float x, float y) => x - y;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Multiply(float x, float y) => x * y;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Divide(float x, float y) => x / y;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Fma(float x, float y, float z) => MathF.FusedMultiplyAdd(x, y, z);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Less(float x, float y) => Mask(x < y);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Equal(float x, float y) => Mask(x == y);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Select(float mask, float x, float y) => Bits(mask) != 0 ? x : y;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float And(float x, float y) => FromBits(Bits(x) & Bits(y));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Bits(float x) => BitConverter.SingleToInt32Bits(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float FromBits(int x) => BitConverter.Int32BitsToSingle(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Add(int x, int y) => unchecked(x + y);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Subtract(int x, int y) => unchecked(x - y);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int And(int x, int y) => x & y;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int ShiftLeft(int x, int by) => x << by;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int ShiftRight(int x, int by) => x >> by;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float ToFloat(int x) => x;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Mask(bool holds) => FromBits(holds ? -1 : 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float SquareRoot(float x) => MathF.Sqrt(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(float x, float y) => x > y ? x : y;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Min(float x, float y) => x < y ? x : y;
}
