namespace MLNet.Quantization.Kernels;

/// <summary>How sums become 8-bit codes: clamp(round((acc + bias[j]) · multiplier[j]) + Zy), see <see cref="NaiveInt8.Requantize"/>.</summary>
/// <param name="Bias">n, or empty for none.</param>
/// <param name="Multipliers">n: (Sa · Sw) / Sy, each step in float32.</param>
/// <param name="ZeroPoint">Zy, within the codes of the output.</param>
/// <param name="ClampMin">Lowest code to come out.</param>
/// <param name="ClampMax">Highest code to come out.</param>
internal sealed record CodeOutput(int[] Bias, float[] Multipliers, int ZeroPoint, int ClampMin, int ClampMax);
