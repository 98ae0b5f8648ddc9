namespace MLNet.Quantization.Numerics;

/// <summary>The affine map between real numbers r and codes q: r = Scale · (q - ZeroPoint).</summary>
internal readonly record struct AffineParameters(float Scale, int ZeroPoint);
