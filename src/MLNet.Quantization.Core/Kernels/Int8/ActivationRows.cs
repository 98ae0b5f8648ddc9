using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MLNet.Quantization.Kernels;

/// <summary>Copies rows of u8 activations into scratch memory in the form that a kernel reads.</summary>
internal static unsafe class ActivationRows
{
    /// <summary>
    /// Bytes from one copied row to the next: room for whole groups, and never a multiple of 512, where the rows of a tile would fall
    /// into the same sets of the first-level cache.
    /// </summary>
    public static long Stride(Int8Kernel kernel, long k)
    {
        long bytes = AlignedBuffer.Align(k * kernel.ActivationBytes);
        return bytes % 512 == 0 ? bytes + 64 : bytes;
    }

    /// <param name="kernel">Says the form.</param>
    /// <param name="from">First row.</param>
    /// <param name="lda">Bytes from one row to the next.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="k">Values of each row to copy; what follows up to the next whole group is zeroed.</param>
    /// <param name="to">Scratch.</param>
    /// <param name="stride"><see cref="Stride"/>.</param>
    public static void Copy(Int8Kernel kernel, byte* from, long lda, int rows, long k, byte* to, long stride)
    {
        long padding = ((k + kernel.GroupSize - 1) / kernel.GroupSize * kernel.GroupSize) - k;
        for (int r = 0; r < rows; r++, from += lda, to += stride)
        {
            CopyRun(kernel.Form, from, k, to);
            new Span<byte>(to + (k * kernel.ActivationBytes), (int)padding * kernel.ActivationBytes).Clear();
        }
    }

    /// <summary>One run of <paramref name="k"/> values, nothing behind them.</summary>
    public static void CopyRun(ActivationForm form, byte* from, long k, byte* to)
    {
        switch (form)
        {
            case ActivationForm.Bytes:
                Buffer.MemoryCopy(from, to, k, k);
                break;
            case ActivationForm.SignedBytes:
                Sign(from, to, k);
                break;
            default:
                Widen(from, 0, (short*)to, k);
                break;
        }
    }

    /// <summary>The same from s8 codes, which become u8 codes that lie 128 higher.</summary>
    public static void CopySignedRun(ActivationForm form, byte* from, long k, byte* to)
    {
        switch (form)
        {
            case ActivationForm.Bytes:
                Sign(from, to, k);
                break;
            case ActivationForm.SignedBytes:
                Buffer.MemoryCopy(from, to, k, k);
                break;
            default:
                Widen(from, 0x80, (short*)to, k);
                break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Widen(byte* from, byte flip, short* to, long k)
    {
        long i = 0;
        if (Avx512BW.IsSupported)
        {
            for (; i <= k - 32; i += 32) Avx512BW.ConvertToVector512Int16(Vector256.Load(from + i) ^ Vector256.Create(flip)).Store(to + i);
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            for (; i <= k - 32; i += 32)
            {
                var x = Vector256.Load(from + i) ^ Vector256.Create(flip);
                Vector256.WidenLower(x).AsInt16().Store(to + i);
                Vector256.WidenUpper(x).AsInt16().Store(to + i + 16);
            }
        }
        for (; i <= k - 16; i += 16)
        {
            var x = Vector128.Load(from + i) ^ Vector128.Create(flip);
            Vector128.WidenLower(x).AsInt16().Store(to + i);
            Vector128.WidenUpper(x).AsInt16().Store(to + i + 8);
        }
        for (; i < k; i++) to[i] = (byte)(from[i] ^ flip);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Sign(byte* from, byte* to, long k)
    {
        long i = 0;
        for (; i <= k - 16; i += 16) (Vector128.Load(from + i) ^ Vector128.Create((byte)0x80)).Store(to + i);
        for (; i < k; i++) to[i] = (byte)(from[i] ^ 0x80);
    }
}
