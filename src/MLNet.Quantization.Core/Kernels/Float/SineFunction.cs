using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// sin x, or with one quarter of a turn added cos x, within 2 units in the last place, for |x| up to <see cref="Limit"/>;
/// <see cref="Map"/> takes any x.
/// </summary>
/// <remarks>
/// x = n · π/2 + r with |r| at most π/4, π/2 in three parts: the first difference is exact, the others are rounded once. sin r by its
/// series to r^9, cos r to r^10, whose first terms left out are below 2e-9; n chooses between them and gives the sign.
/// </remarks>
internal readonly struct SineFunction(int quarters) : IUnaryFunction
{
    /// <summary>From here on the parts of π/2 do not suffice.</summary>
    public const float Limit = 65536;

    private const float HalfPiHigh = 1.57079637f;
    private const float HalfPiMiddle = -4.37113883e-8f;
    private const float HalfPiLow = -1.71512451e-15f;

    /// <summary>Added to a small float32, it leaves the value rounded to an integer in the low bits.</summary>
    private const float Rounder = 12582912;

    private const int RounderBits = 0x4B400000;

    private const int Chunk = 256;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        var shifted = L.Fma(x, L.Create(0.636619747f), L.Create(Rounder));
        var n = L.Subtract(shifted, L.Create(Rounder));
        var r = L.Fma(n, L.Create(-HalfPiHigh), x);
        r = L.Fma(n, L.Create(-HalfPiMiddle), r);
        r = L.Fma(n, L.Create(-HalfPiLow), r);
        var z = L.Multiply(r, r);
        var s = L.Create(1f / 362880);
        s = L.Fma(s, z, L.Create(-1f / 5040));
        s = L.Fma(s, z, L.Create(1f / 120));
        s = L.Fma(s, z, L.Create(-1f / 6));
        s = L.Fma(L.Multiply(s, z), r, r);
        var c = L.Create(-1f / 3628800);
        c = L.Fma(c, z, L.Create(1f / 40320));
        c = L.Fma(c, z, L.Create(-1f / 720));
        c = L.Fma(c, z, L.Create(1f / 24));
        c = L.Fma(L.Multiply(z, z), c, L.Fma(z, L.Create(-0.5f), L.Create(1f)));
        var turn = L.Add(L.Subtract(L.Bits(shifted), L.Create(RounderBits)), L.Create(quarters));
        // The lowest bit, spread over all, is a mask; the next one is a sign.
        var isOdd = L.FromBits(L.ShiftRight(L.ShiftLeft(turn, 31), 31));
        var y = L.Select(isOdd, c, s);
        return L.FromBits(L.Add(L.Bits(y), L.ShiftLeft(L.And(turn, L.Create(2)), 30)));
    }

    /// <summary>The function of each element, whatever its size; NaN of what is not finite.</summary>
    /// <param name="x">n.</param>
    /// <param name="y">At least n; may be <paramref name="x"/> itself.</param>
    /// <param name="tier">Null: <see cref="FloatTier.Best"/>.</param>
    [SkipLocalsInit]
    public void Map(ReadOnlySpan<float> x, Span<float> y, FloatTier? tier = null)
    {
        Span<float> copy = stackalloc float[Chunk];
        for (int start = 0; start < x.Length; start += Chunk)
        {
            var from = copy[..Math.Min(Chunk, x.Length - start)];
            x.Slice(start, from.Length).CopyTo(from);
            var to = y.Slice(start, from.Length);
            Elementwise.Map(this, from, to, tier);
            for (int i = 0; i < from.Length; i++)
                if (!(MathF.Abs(from[i]) <= Limit)) to[i] = (float)DoubleFunctions.Sine(from[i], quarters);
        }
    }
}
