using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MLNet.Quantization.Kernels;

/// <summary>What pooling does to pixels of 8-bit codes, channels last: all channels of a pixel at once.</summary>
internal static unsafe class CodePool
{
    /// <summary>y = max(y, x), u8, or s8 with <paramref name="signed"/>; n codes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Max(byte* x, byte* y, int n, bool signed)
    {
        int i = 0;
        if (Vector512.IsHardwareAccelerated)
            for (; i <= n - 64; i += 64)
            {
                if (signed) Vector512.Max(Vector512.Load((sbyte*)x + i), Vector512.Load((sbyte*)y + i)).Store((sbyte*)y + i);
                else Vector512.Max(Vector512.Load(x + i), Vector512.Load(y + i)).Store(y + i);
            }
        if (Vector128.IsHardwareAccelerated)
            for (; i <= n - 16; i += 16)
            {
                if (signed) Vector128.Max(Vector128.Load((sbyte*)x + i), Vector128.Load((sbyte*)y + i)).Store((sbyte*)y + i);
                else Vector128.Max(Vector128.Load(x + i), Vector128.Load(y + i)).Store(y + i);
            }
        for (; i < n; i++) y[i] = signed ? (byte)Math.Max((sbyte)x[i], (sbyte)y[i]) : Math.Max(x[i], y[i]);
    }

    /// <summary>y = the greatest of <paramref name="pixels"/> pixels of n codes that lie <paramref name="step"/> apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MaxOf(byte* x, long step, int pixels, byte* y, int n, bool signed)
    {
        // s8 codes are ordered as u8 codes once their top bit is changed.
        byte flip = signed ? (byte)0x80 : (byte)0;
        int i = 0;
        if (Vector512.IsHardwareAccelerated)
            for (; i <= n - 64; i += 64)
            {
                var most = Vector512.Load(x + i) ^ Vector512.Create(flip);
                for (int p = 1; p < pixels; p++) most = Vector512.Max(most, Vector512.Load(x + (p * step) + i) ^ Vector512.Create(flip));
                (most ^ Vector512.Create(flip)).Store(y + i);
            }
        if (Vector128.IsHardwareAccelerated)
            for (; i <= n - 16; i += 16)
            {
                var most = Vector128.Load(x + i) ^ Vector128.Create(flip);
                for (int p = 1; p < pixels; p++) most = Vector128.Max(most, Vector128.Load(x + (p * step) + i) ^ Vector128.Create(flip));
                (most ^ Vector128.Create(flip)).Store(y + i);
            }
        if (Vector128.IsHardwareAccelerated)
            for (; i <= n - 8; i += 8)
            {
                var most = Vector128.CreateScalar(*(ulong*)(x + i)).AsByte() ^ Vector128.Create(flip);
                for (int p = 1; p < pixels; p++) most = Vector128.Max(most, Vector128.CreateScalar(*(ulong*)(x + (p * step) + i)).AsByte() ^ Vector128.Create(flip));
                *(ulong*)(y + i) = (most ^ Vector128.Create(flip)).AsUInt64().ToScalar();
            }
        for (; i < n; i++)
        {
            int most = x[i] ^ flip;
            for (int p = 1; p < pixels; p++) most = Math.Max(most, x[(p * step) + i] ^ flip);
            y[i] = (byte)(most ^ flip);
        }
    }

    /// <summary>
    /// <see cref="MaxOf"/> for each of <paramref name="windows"/> windows that begin <paramref name="stride"/> apart, their maxima one
    /// after the other. Pixels of few codes are done here: a call for each takes longer than its work.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MaxOfEach(byte* x, long stride, int windows, long step, int pixels, byte* y, int n, bool signed)
    {
        if (!Vector128.IsHardwareAccelerated || n % 8 != 0 || n > 32)
        {
            for (int w = 0; w < windows; w++) MaxOf(x + (w * stride), step, pixels, y + ((long)w * n), n, signed);
            return;
        }
        var flip = Vector128.Create(signed ? (byte)0x80 : (byte)0);
        for (int w = 0; w < windows; w++, x += stride)
            for (int i = 0; i < n; i += 8, y += 8)
            {
                var most = Vector128.CreateScalarUnsafe(*(ulong*)(x + i)).AsByte() ^ flip;
                for (int p = 1; p < pixels; p++) most = Vector128.Max(most, Vector128.CreateScalarUnsafe(*(ulong*)(x + (p * step) + i)).AsByte() ^ flip);
                *(ulong*)y = (most ^ flip).AsUInt64().ToScalar();
            }
    }

    /// <summary>sums += Σ (x ^ flip) as u8 over lines of pixels of n codes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add(byte* x, long lineStep, int lines, long step, int pixels, int* sums, int n, byte flip)
    {
        int i = 0;
        if (Avx512F.IsSupported)
            for (; i <= n - 16; i += 16)
            {
                var sum = Vector512.Load(sums + i);
                for (int l = 0; l < lines; l++)
                    for (int p = 0; p < pixels; p++) sum += Avx512F.ConvertToVector512Int32(Vector128.Load(x + (l * lineStep) + (p * step) + i) ^ Vector128.Create(flip));
                sum.Store(sums + i);
            }
        else if (Vector128.IsHardwareAccelerated)
            for (; i <= n - 16; i += 16)
            {
                Vector128<int> s0 = Vector128.Load(sums + i), s1 = Vector128.Load(sums + i + 4), s2 = Vector128.Load(sums + i + 8), s3 = Vector128.Load(sums + i + 12);
                for (int l = 0; l < lines; l++)
                    for (int p = 0; p < pixels; p++)
                    {
                        var (low, high) = Vector128.Widen(Vector128.Load(x + (l * lineStep) + (p * step) + i) ^ Vector128.Create(flip));
                        s0 += Vector128.WidenLower(low).AsInt32();
                        s1 += Vector128.WidenUpper(low).AsInt32();
                        s2 += Vector128.WidenLower(high).AsInt32();
                        s3 += Vector128.WidenUpper(high).AsInt32();
                    }
                s0.Store(sums + i);
                s1.Store(sums + i + 4);
                s2.Store(sums + i + 8);
                s3.Store(sums + i + 12);
            }
        if (Avx2.IsSupported)
            for (; i <= n - 8; i += 8)
            {
                // Two sums, as pixels of 8 codes are one chain of additions.
                Vector256<int> even = Vector256.Load(sums + i), odd = default;
                for (int l = 0; l < lines; l++)
                {
                    byte* from = x + (l * lineStep) + i;
                    int p = 0;
                    for (; p < pixels - 1; p += 2, from += 2 * step)
                    {
                        even += Avx2.ConvertToVector256Int32(Vector128.CreateScalarUnsafe(*(ulong*)from).AsByte() ^ Vector128.Create(flip));
                        odd += Avx2.ConvertToVector256Int32(Vector128.CreateScalarUnsafe(*(ulong*)(from + step)).AsByte() ^ Vector128.Create(flip));
                    }
                    if (p < pixels) even += Avx2.ConvertToVector256Int32(Vector128.CreateScalarUnsafe(*(ulong*)from).AsByte() ^ Vector128.Create(flip));
                }
                (even + odd).Store(sums + i);
            }
        for (; i < n; i++)
            for (int l = 0; l < lines; l++)
                for (int p = 0; p < pixels; p++) sums[i] += x[(l * lineStep) + (p * step) + i] ^ flip;
    }

    /// <summary>y = requantize(sums - offset) by one multiplier (<see cref="NaiveInt8.Requantize"/>).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Requantize(int* sums, int offset, float multiplier, int zeroPoint, float low, float high, byte* y, int n)
    {
        int i = 0;
        if (Avx512F.IsSupported)
            for (; i <= n - 16; i += 16)
            {
                var v = Vector512.ConvertToSingle(Vector512.Load(sums + i) - Vector512.Create(offset)) * multiplier;
                v = Avx512F.Min(Avx512F.Max(v, Vector512.Create(low)), Vector512.Create(high));
                Avx512F.ConvertToVector128Byte((Avx512F.ConvertToVector512Int32(v) + Vector512.Create(zeroPoint)).AsUInt32()).Store(y + i);
            }
        for (; i < n; i++) y[i] = NaiveInt8.Requantize(sums[i] - offset, multiplier, zeroPoint, low, high);
    }

    /// <summary>y = (float)(sums - offset) · scale.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scale(int* sums, int offset, float scale, float* y, int n)
    {
        int i = 0;
        for (; i <= n - 8; i += 8) (Vector256.ConvertToSingle(Vector256.Load(sums + i) - Vector256.Create(offset)) * scale).Store(y + i);
        for (; i < n; i++) y[i] = (float)(sums[i] - offset) * scale;
    }
}
