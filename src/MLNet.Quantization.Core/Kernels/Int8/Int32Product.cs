namespace MLNet.Quantization.Kernels;

/// <summary>
/// c[i, j] = Σ (a[i, k] - Za) · w[k, j] + bias[j], int32: exact where it fits, else modulo 2^32. Immutable, for any number of threads.
/// </summary>
/// <param name="weights">w [k, n].</param>
/// <param name="activationZeroPoint">Za, 0 .. 255.</param>
/// <param name="bias">n, or empty for none.</param>
internal sealed unsafe class Int32Product(Int8Weights weights, int activationZeroPoint, ReadOnlySpan<int> bias)
    : Int8Product(weights, OutputStage.Int32, OffsetsOf(weights, activationZeroPoint, bias), [], [])
{
    /// <param name="a">u8 [m, k].</param>
    /// <param name="m">0 or more.</param>
    /// <param name="c">[m, n].</param>
    /// <param name="workspace"><see cref="Int8Product.WorkspaceBytes"/>.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public void Run(ReadOnlySpan<byte> a, int m, Span<int> c, Span<byte> workspace, int maxThreads)
    {
        Check(a.Length, m, c.Length, workspace, out int lanes);
        fixed (byte* pa = a, work = workspace)
        fixed (int* pc = c)
        {
            var t = new TileArguments { A = pa, Lda = Weights.K, C = (byte*)pc, Ldc = 4L * Weights.N };
            Run(ref t, m, work, lanes, maxThreads);
        }
    }
}
