namespace MLNet.Quantization.Kernels;

/// <summary>
/// Float32 arithmetic on a few numbers at once, so that a function is written once and compiled for every width. A lane never depends on
/// another one, and every operation is exactly rounded: the width does not change a bit of the result.
/// </summary>
/// <typeparam name="TFloats">The numbers; also a mask of all or no bits a lane.</typeparam>
/// <typeparam name="TInts">As many int32.</typeparam>
internal unsafe interface ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
{
    static abstract int Count { get; }

    static abstract TFloats Load(float* from);

    static abstract void Store(TFloats value, float* to);

    /// <summary>The first <paramref name="count"/> numbers, none to all of a vector, then those of <paramref name="others"/>; nothing behind them is read.</summary>
    static abstract TFloats LoadFirst(float* from, int count, TFloats others);

    /// <summary>The first <paramref name="count"/> numbers, none to all of the vector; nothing behind them is written.</summary>
    static abstract void StoreFirst(TFloats value, float* to, int count);

    static abstract TFloats Create(float value);

    static abstract TInts Create(int value);

    static abstract TFloats Add(TFloats x, TFloats y);

    static abstract TFloats Subtract(TFloats x, TFloats y);

    static abstract TFloats Multiply(TFloats x, TFloats y);

    static abstract TFloats Divide(TFloats x, TFloats y);

    /// <summary>x · y + z, rounded once.</summary>
    static abstract TFloats Fma(TFloats x, TFloats y, TFloats z);

    /// <summary>A mask; false where either is NaN.</summary>
    static abstract TFloats Less(TFloats x, TFloats y);

    /// <summary>A mask; false where either is NaN.</summary>
    static abstract TFloats Equal(TFloats x, TFloats y);

    /// <summary>Where the mask is set <paramref name="x"/>, else <paramref name="y"/>.</summary>
    static abstract TFloats Select(TFloats mask, TFloats x, TFloats y);

    static abstract TFloats And(TFloats x, TFloats y);

    static abstract TInts Bits(TFloats x);

    static abstract TFloats FromBits(TInts x);

    static abstract TInts Add(TInts x, TInts y);

    static abstract TInts Subtract(TInts x, TInts y);

    static abstract TInts And(TInts x, TInts y);

    static abstract TInts ShiftLeft(TInts x, int by);

    /// <summary>Keeps the sign.</summary>
    static abstract TInts ShiftRight(TInts x, int by);

    static abstract TFloats ToFloat(TInts x);

    /// <summary>√x, rounded once.</summary>
    static abstract TFloats SquareRoot(TFloats x);

    /// <summary>The greater; <paramref name="y"/> where that is NaN. <paramref name="x"/> must not be, nor may both be zeros.</summary>
    static abstract TFloats Max(TFloats x, TFloats y);

    /// <summary>The lesser; <paramref name="y"/> where that is NaN. <paramref name="x"/> must not be, nor may both be zeros.</summary>
    static abstract TFloats Min(TFloats x, TFloats y);
}
