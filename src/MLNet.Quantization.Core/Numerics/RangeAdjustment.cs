namespace MLNet.Quantization.Numerics;

/// <summary>What kept a scale from being what its range asks for.</summary>
internal enum RangeAdjustment
{
    None,

    /// <summary>The range holds nothing but 0: the scale is 1.</summary>
    AllZero,

    /// <summary>The scale would have been below <see cref="AffineRange.LeastScale"/> and is that.</summary>
    Floored,
}
