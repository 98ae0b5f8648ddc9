namespace MLNet.Quantization.Kernels;

/// <summary>
/// c[i, j] = ((float)acc · Sa) · Sw[j] + b[j] with acc = Σ (a[i, k] - Za) · w[k, j], without fused multiply-add. A row whose scale is
/// NaN comes out as NaN. Immutable, for any number of threads.
/// </summary>
internal sealed class FloatProduct
{
    private readonly Int8Weights _weights;
    private readonly float[] _columnScales, _bias;

    /// <param name="weights">w [k, n].</param>
    /// <param name="columnScales">Sw: n, or 1 for all columns.</param>
    /// <param name="bias">n, or empty for none.</param>
    public FloatProduct(Int8Weights weights, ReadOnlySpan<float> columnScales, ReadOnlySpan<float> bias)
    {
        _weights = weights;
        _columnScales = columnScales.Length == 1 ? Enumerable.Repeat(columnScales[0], weights.N).ToArray() : columnScales.ToArray();
        _bias = bias.ToArray();
    }

    /// <summary>Scratch memory for <paramref name="m"/> rows; with less, fewer threads work.</summary>
    public long WorkspaceBytes(int m) => 0;

    /// <param name="a">u8 [m, k].</param>
    /// <param name="m">0 or more.</param>
    /// <param name="rowScales">Sa: m, or 1 for all rows.</param>
    /// <param name="rowZeroPoints">Za, 0 .. 255: m, or 1 for all rows.</param>
    /// <param name="c">[m, n].</param>
    /// <param name="workspace"><see cref="WorkspaceBytes"/>.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public void Run(
        ReadOnlySpan<byte> a, int m, ReadOnlySpan<float> rowScales, ReadOnlySpan<int> rowZeroPoints, Span<float> c, Span<byte> workspace, int maxThreads) =>
        NaiveInt8.Float(a, _weights.Codes, m, _weights.K, _weights.N, rowScales, rowZeroPoints, _columnScales, _bias, c);
}
