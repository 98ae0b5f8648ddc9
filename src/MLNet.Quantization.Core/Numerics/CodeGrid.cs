namespace MLNet.Quantization.Numerics;

/// <summary>The integers that codes may take: <paramref name="Min"/> to <paramref name="Max"/>, both included.</summary>
internal readonly record struct CodeGrid(int Min, int Max)
{
    /// <summary>-128 to 127.</summary>
    public static CodeGrid Int8 { get; } = new(-128, 127);

    /// <summary>-127 to 127, for symmetric weights: the negative of every code is a code.</summary>
    public static CodeGrid Int8Narrow { get; } = new(-127, 127);

    /// <summary>0 to 255.</summary>
    public static CodeGrid UInt8 { get; } = new(0, 255);

    /// <summary>The code of 0 on a symmetric map: 0, or 128 of 0 to 255.</summary>
    public int ZeroCode => Min < 0 ? 0 : (Max + 1) / 2;

    /// <summary>Codes on each side of <see cref="ZeroCode"/> that a symmetric map uses: 127 with 8 bits.</summary>
    public int HalfSteps => Math.Min(Max - ZeroCode, ZeroCode - Min);

    /// <summary>A signed grid of 2 to 8 bits.</summary>
    /// <param name="bits">2 to 8.</param>
    /// <param name="narrow">True for [-(2^(bits-1) - 1), 2^(bits-1) - 1], which min-max ranges use; false for the full grid, which starts one lower.</param>
    public static CodeGrid ForBits(int bits, bool narrow)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bits, 2);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bits, 8);
        int max = (1 << (bits - 1)) - 1;
        return new(narrow ? -max : -max - 1, max);
    }
}
