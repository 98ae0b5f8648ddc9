namespace MLNet.Quantization.Kernels;

/// <summary>
/// c[i, j] = clamp(round(acc · multiplier[j]) + Zy) with acc = Σ (a[i, k] - Za) · w[k, j] + bias[j], as 8-bit codes
/// (<see cref="NaiveInt8.Requantize"/>). Immutable, for any number of threads.
/// </summary>
internal sealed unsafe class RequantizedProduct : Int8Product
{
    private readonly int _outputZeroPoint;
    private readonly float _low, _high;
    private readonly long[] _longOffsets = [];

    /// <param name="weights">w [k, n].</param>
    /// <param name="activationZeroPoint">Za, 0 .. 255.</param>
    /// <param name="bias">n, or empty for none. With it, sums must stay within int32.</param>
    /// <param name="multipliers">n: (Sa · Sw) / Sy, each step in float32.</param>
    /// <param name="outputZeroPoint">Zy, within the codes of the output.</param>
    /// <param name="clampMin">Lowest code to come out: the grid's, or that of an activation function's lower bound.</param>
    /// <param name="clampMax">Highest code to come out.</param>
    /// <param name="signedOutput">Codes are s8 (stored as bytes), else u8.</param>
    public RequantizedProduct(
        Int8Weights weights, int activationZeroPoint, ReadOnlySpan<int> bias, ReadOnlySpan<float> multipliers, int outputZeroPoint,
        int clampMin, int clampMax, bool signedOutput)
        : base(weights, OutputStage.Requantized, OffsetsOf(weights, activationZeroPoint, bias), Checked(weights, multipliers), [])
    {
        int least = signedOutput ? sbyte.MinValue : byte.MinValue, most = signedOutput ? sbyte.MaxValue : byte.MaxValue;
        ArgumentOutOfRangeException.ThrowIfLessThan(clampMin, least);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(clampMax, most);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(clampMin, clampMax);
        ArgumentOutOfRangeException.ThrowIfLessThan(outputZeroPoint, least);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(outputZeroPoint, most);
        _outputZeroPoint = outputZeroPoint;
        _low = clampMin - outputZeroPoint;
        _high = clampMax - outputZeroPoint;
        if (!IsLong) return;
        _longOffsets = new long[weights.N];
        for (int j = 0; j < _longOffsets.Length; j++)
            _longOffsets[j] = (bias.IsEmpty ? 0 : bias[j]) - (activationZeroPoint * weights.ExactColumnSums[j]);
    }

    /// <param name="a">u8 [m, k].</param>
    /// <param name="m">0 or more.</param>
    /// <param name="c">[m, n]; s8 codes are stored as bytes.</param>
    /// <param name="workspace"><see cref="Int8Product.WorkspaceBytes"/>.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public void Run(ReadOnlySpan<byte> a, int m, Span<byte> c, Span<byte> workspace, int maxThreads)
    {
        Check(a.Length, m, c.Length, workspace, out int lanes);
        fixed (byte* pa = a, work = workspace, pc = c)
        {
            var t = new TileArguments { A = pa, Lda = Weights.K, C = pc, Ldc = Weights.N };
            SetStage(ref t);
            Run(ref t, m, work, lanes, maxThreads);
        }
    }

    internal override void SetStage(ref TileArguments t) => (t.ZeroPoint, t.Low, t.High) = (_outputZeroPoint, _low, _high);

    internal override long LongOffset(int column) => _longOffsets[column];

    private static ReadOnlySpan<float> Checked(Int8Weights weights, ReadOnlySpan<float> multipliers) => multipliers.Length == weights.N
        ? multipliers
        : throw new ArgumentException($"{multipliers.Length} multipliers for {weights.N} columns.", nameof(multipliers));
}
