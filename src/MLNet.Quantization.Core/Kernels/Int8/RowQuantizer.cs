namespace MLNet.Quantization.Kernels;

/// <summary>Dynamic quantization to u8, one scale and zero point a row, by the formulas of ONNX's DynamicQuantizeLinear.</summary>
internal static class RowQuantizer
{
    /// <param name="x">[m, k].</param>
    /// <param name="m">Rows.</param>
    /// <param name="k">Columns.</param>
    /// <param name="q">[m, k]: codes; unspecified in rows whose scale is NaN.</param>
    /// <param name="scales">m; NaN where the row holds NaN or infinity, or spans more than float32 can.</param>
    /// <param name="zeroPoints">m.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public static void Quantize(ReadOnlySpan<float> x, int m, int k, Span<byte> q, Span<float> scales, Span<int> zeroPoints, int maxThreads)
    {
        for (int i = 0; i < m; i++)
        {
            var row = x.Slice(i * k, k);
            float min = 0, max = 0;
            foreach (float v in row)
            {
                min = MathF.Min(min, v);
                max = MathF.Max(max, v);
            }
            (scales[i], zeroPoints[i]) = ParametersOf(min, max);
            for (int j = 0; j < k; j++) q[i * k + j] = Code(row[j], scales[i], zeroPoints[i]);
        }
    }

    /// <summary>S = (max - min) / 255, Z = round(clamp(-min / S)), in float32; S = 1, Z = 0 where all is 0.</summary>
    /// <param name="min">0 or less, or NaN.</param>
    /// <param name="max">0 or more, or NaN.</param>
    internal static (float Scale, int ZeroPoint) ParametersOf(float min, float max)
    {
        float scale = (max - min) / 255f;
        if (!float.IsFinite(scale)) return (float.NaN, 0);
        if (scale == 0) return (1, 0);
        return (scale, (int)MathF.Round(Math.Clamp(-min / scale, 0f, 255f), MidpointRounding.ToEven));
    }

    /// <summary>clamp(round(x / S) + Z), in the order that is safe on every instruction set.</summary>
    internal static byte Code(float x, float scale, int zeroPoint)
    {
        float v = x / scale, low = -zeroPoint, high = 255 - zeroPoint;
        if (!(v >= low)) v = low;
        if (v > high) v = high;
        return (byte)((int)MathF.Round(v, MidpointRounding.ToEven) + zeroPoint);
    }
}
