namespace MLNet.Quantization.Kernels;

/// <summary>c[i, j] = Σ (a[i, k] - Za) · w[k, j] + bias[j], int32, exact where it fits. Immutable, for any number of threads.</summary>
internal sealed class Int32Product
{
    private readonly Int8Weights _weights;
    private readonly int _zeroPoint;
    private readonly int[] _bias;

    /// <param name="weights">w [k, n].</param>
    /// <param name="activationZeroPoint">Za, 0 .. 255.</param>
    /// <param name="bias">n, or empty for none.</param>
    public Int32Product(Int8Weights weights, int activationZeroPoint, ReadOnlySpan<int> bias)
    {
        _weights = weights;
        _zeroPoint = activationZeroPoint;
        _bias = bias.ToArray();
    }

    /// <summary>Scratch memory for <paramref name="m"/> rows; with less, fewer threads work.</summary>
    public long WorkspaceBytes(int m) => 0;

    /// <param name="a">u8 [m, k].</param>
    /// <param name="m">0 or more.</param>
    /// <param name="c">[m, n].</param>
    /// <param name="workspace"><see cref="WorkspaceBytes"/>.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public void Run(ReadOnlySpan<byte> a, int m, Span<int> c, Span<byte> workspace, int maxThreads) =>
        NaiveInt8.Int32(a, _weights.Codes, m, _weights.K, _weights.N, _zeroPoint, _bias, c);
}
