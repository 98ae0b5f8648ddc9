namespace MLNet.Quantization.Kernels;

/// <summary>
/// c[i, j] = clamp(round(acc · multiplier[j])) + Zy with acc = Σ (a[i, k] - Za) · w[k, j] + bias[j], as 8-bit codes. Immutable, for any
/// number of threads.
/// </summary>
internal sealed class RequantizedProduct
{
    private readonly Int8Weights _weights;
    private readonly int _zeroPoint, _outputZeroPoint, _clampMin, _clampMax;
    private readonly int[] _bias;
    private readonly float[] _multipliers;

    /// <param name="weights">w [k, n].</param>
    /// <param name="activationZeroPoint">Za, 0 .. 255.</param>
    /// <param name="bias">n, or empty for none.</param>
    /// <param name="multipliers">n: (Sa · Sw) / Sy, each step in float32.</param>
    /// <param name="outputZeroPoint">Zy, within the codes of the output.</param>
    /// <param name="clampMin">Lowest code to come out: the grid's, or that of an activation function's lower bound.</param>
    /// <param name="clampMax">Highest code to come out.</param>
    /// <param name="signedOutput">Codes are s8 (stored as bytes), else u8.</param>
    public RequantizedProduct(
        Int8Weights weights, int activationZeroPoint, ReadOnlySpan<int> bias, ReadOnlySpan<float> multipliers, int outputZeroPoint,
        int clampMin, int clampMax, bool signedOutput)
    {
        int least = signedOutput ? sbyte.MinValue : byte.MinValue, most = signedOutput ? sbyte.MaxValue : byte.MaxValue;
        ArgumentOutOfRangeException.ThrowIfLessThan(clampMin, least);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(clampMax, most);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(clampMin, clampMax);
        _weights = weights;
        _zeroPoint = activationZeroPoint;
        _bias = bias.ToArray();
        _multipliers = multipliers.ToArray();
        _outputZeroPoint = outputZeroPoint;
        _clampMin = clampMin;
        _clampMax = clampMax;
    }

    /// <summary>Scratch memory for <paramref name="m"/> rows; with less, fewer threads work.</summary>
    public long WorkspaceBytes(int m) => 0;

    /// <param name="a">u8 [m, k].</param>
    /// <param name="m">0 or more.</param>
    /// <param name="c">[m, n]; s8 codes are stored as bytes.</param>
    /// <param name="workspace"><see cref="WorkspaceBytes"/>.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public void Run(ReadOnlySpan<byte> a, int m, Span<byte> c, Span<byte> workspace, int maxThreads) =>
        NaiveInt8.Requantized(a, _weights.Codes, m, _weights.K, _weights.N, _zeroPoint, _bias, _multipliers, _outputZeroPoint, _clampMin, _clampMax, c);
}
