namespace MLNet.Quantization.Kernels;

/// <summary>
/// c[i, j] = ((float)acc · Sa) · Sw[j] + b[j] with acc = Σ (a[i, k] - Za) · w[k, j], without fused multiply-add
/// (<see cref="NaiveInt8.Scale"/>). A row whose scale is NaN comes out as NaN. Immutable, for any number of threads.
/// </summary>
/// <param name="weights">w [k, n].</param>
/// <param name="columnScales">Sw: n, or 1 for all columns.</param>
/// <param name="bias">n, or empty for none.</param>
internal sealed unsafe class FloatProduct(Int8Weights weights, ReadOnlySpan<float> columnScales, ReadOnlySpan<float> bias)
    : Int8Product(weights, OutputStage.Float, new int[weights.N], PerColumn(columnScales, weights.N, 1, nameof(columnScales)), PerColumn(bias, weights.N, 0, nameof(bias)))
{
    private readonly long _copiedStride = ActivationRows.Stride(weights.Kernel, weights.K);

    /// <param name="a">u8 [m, k].</param>
    /// <param name="m">0 or more.</param>
    /// <param name="rowScales">Sa: m, or 1 for all rows.</param>
    /// <param name="rowZeroPoints">Za, 0 .. 255: m, or 1 for all rows.</param>
    /// <param name="c">[m, n].</param>
    /// <param name="workspace"><see cref="Int8Product.WorkspaceBytes"/>.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public void Run(
        ReadOnlySpan<byte> a, int m, ReadOnlySpan<float> rowScales, ReadOnlySpan<int> rowZeroPoints, Span<float> c, Span<byte> workspace, int maxThreads)
    {
        Check(a.Length, m, c.Length, workspace, out int lanes);
        if (m > 0 && rowScales.Length != 1 && rowScales.Length < m) throw new ArgumentException($"{rowScales.Length} scales for {m} rows.", nameof(rowScales));
        if (m > 0 && rowZeroPoints.Length != 1 && rowZeroPoints.Length < m)
            throw new ArgumentException($"{rowZeroPoints.Length} zero points for {m} rows.", nameof(rowZeroPoints));
        fixed (byte* pa = a, work = workspace)
        fixed (float* pc = c, scales = rowScales)
        fixed (int* zeroPoints = rowZeroPoints)
        {
            var t = new TileArguments
            {
                A = pa,
                Lda = Weights.K,
                C = (byte*)pc,
                Ldc = 4L * Weights.N,
                RowScales = scales,
                RowScaleStep = rowScales.Length == 1 ? 0 : 4,
                RowZeroPoints = zeroPoints,
                RowZeroPointStep = rowZeroPoints.Length == 1 ? 0 : 4,
            };
            Run(ref t, m, work, lanes, maxThreads);
        }
    }

    /// <summary>
    /// Some rows whose activations lie as <see cref="ActivationRows"/> copies them; scales and zero points follow each other at
    /// <paramref name="step"/> bytes, 4 or 0; the last panels first, where <paramref name="fromEnd"/> says so.
    /// </summary>
    internal void RunCopied(byte* a, int rows, float* rowScales, int* rowZeroPoints, int step, float* c, bool fromEnd, int maxThreads)
    {
        var t = new TileArguments
        {
            A = a,
            Lda = _copiedStride,
            C = (byte*)c,
            Ldc = 4L * Weights.N,
            RowScales = rowScales,
            RowScaleStep = step,
            RowZeroPoints = rowZeroPoints,
            RowZeroPointStep = step,
        };
        RunCopied(ref t, rows, fromEnd, maxThreads);
    }

    /// <summary>One value a column, from as many, from one for all, or from as many as are allowed to be missing.</summary>
    internal static float[] PerColumn(ReadOnlySpan<float> values, int n, int least, string name)
    {
        if (values.Length == n) return values.ToArray();
        if (values.Length != least) throw new ArgumentException($"{values.Length} values for {n} columns.", name);
        var result = new float[n];
        if (least == 1) Array.Fill(result, values[0]);
        return result;
    }
}
