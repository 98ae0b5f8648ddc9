using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>u8 codes of float32 activations under one fixed scale.</summary>
internal static class StaticCodes
{
    /// <summary>q = round(x / S) + Z, clamped before rounding so that infinity saturates and NaN gives 0.</summary>
    public static void Quantize(ReadOnlySpan<float> x, AffineParameters p, Span<byte> q)
    {
        float low = 0 - p.ZeroPoint, high = 255 - p.ZeroPoint;
        for (int i = 0; i < q.Length; i++)
        {
            float v = x[i] / p.Scale;
            if (!(v >= low)) v = low;
            if (v > high) v = high;
            q[i] = (byte)((int)MathF.Round(v, MidpointRounding.ToEven) + p.ZeroPoint);
        }
    }
}
