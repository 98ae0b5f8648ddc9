using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MLNet.Quantization.Kernels;

/// <summary>y = table[x] over bytes, by one table or one a channel.</summary>
internal static unsafe class CodeLookup
{
    /// <param name="table">256 bytes.</param>
    /// <param name="x">n.</param>
    /// <param name="y">n; may be <paramref name="x"/> itself.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(ReadOnlySpan<byte> table, ReadOnlySpan<byte> x, Span<byte> y)
    {
        if (table.Length != 256) throw new ArgumentException($"The table has {table.Length} entries, expected 256.", nameof(table));
        if (y.Length < x.Length) throw new ArgumentException($"{y.Length} places for {x.Length} codes.", nameof(y));
        fixed (byte* t = table, from = x, to = y)
        {
            int i = 0;
            if (Avx512Vbmi.IsSupported) i = ByPermutation(t, from, x.Length, to);
            for (; i < x.Length; i++) to[i] = t[from[i]];
        }
    }

    /// <summary>y = table of the channel [x], for pixels of so many channels.</summary>
    /// <param name="tables">[channels, 256].</param>
    /// <param name="channels">1 or more.</param>
    /// <param name="x">n.</param>
    /// <param name="y">n; may be <paramref name="x"/> itself.</param>
    /// <param name="n">Whole pixels.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void RunByChannel(byte* tables, int channels, byte* x, byte* y, int n)
    {
        for (int i = 0; i < n; i += channels)
        {
            byte* table = tables;
            for (int c = 0; c < channels; c++, table += 256) y[i + c] = table[x[i + c]];
        }
    }

    /// <summary>A permutation takes 7 bits of each index and 128 entries; the eighth chooses between two of them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int ByPermutation(byte* table, byte* x, int n, byte* y)
    {
        Vector512<byte> t0 = Vector512.Load(table), t1 = Vector512.Load(table + 64), t2 = Vector512.Load(table + 128), t3 = Vector512.Load(table + 192);
        int i = 0;
        for (; i <= n - 64; i += 64)
        {
            var at = Vector512.Load(x + i);
            Vector512<byte> low = Avx512Vbmi.PermuteVar64x8x2(t0, at, t1), high = Avx512Vbmi.PermuteVar64x8x2(t2, at, t3);
            Vector512.ConditionalSelect(Vector512.LessThan(at.AsSByte(), Vector512<sbyte>.Zero).AsByte(), high, low).Store(y + i);
        }
        return i;
    }
}
