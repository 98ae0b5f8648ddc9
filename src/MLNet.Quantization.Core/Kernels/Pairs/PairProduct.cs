namespace MLNet.Quantization.Kernels;

/// <summary>
/// C [m, n] = A [m, k] · B [k, n] in float32 where both factors are computed: B is packed once, then rows of A pass over it, on the
/// calling thread. Rows of either may lie apart. A row of C depends on its row of A and on B alone. Immutable, for any number of threads.
/// </summary>
/// <param name="k">Elements of one sum, 0 or more.</param>
/// <param name="n">Columns of B, 0 or more.</param>
internal abstract unsafe class PairProduct(int k, int n)
{
    public int K { get; } = k;

    public int N { get; } = n;

    /// <summary>Bytes that B takes packed, a multiple of <see cref="AlignedBuffer.Alignment"/>.</summary>
    public abstract long PackedBytes { get; }

    /// <summary>Bytes of scratch memory that <see cref="Pack"/> and <see cref="Multiply"/> of so many rows take, a multiple of the same.</summary>
    public abstract long ScratchBytes(int rows);

    /// <param name="b">B [k, n], or [n, k] where <paramref name="transposed"/>.</param>
    /// <param name="stride">Elements from one of its rows, as it lies, to the next.</param>
    /// <param name="transposed">True where a column of B lies together.</param>
    /// <param name="packed"><see cref="PackedBytes"/>, starting at a multiple of 64.</param>
    /// <param name="scratch"><see cref="ScratchBytes"/>, starting at a multiple of 64.</param>
    public abstract void Pack(byte* b, long stride, bool transposed, byte* packed, byte* scratch);

    /// <param name="a">A [rows, k].</param>
    /// <param name="stride">Elements from one row of A to the next.</param>
    /// <param name="rows">0 or more.</param>
    /// <param name="packed">What <see cref="Pack"/> made.</param>
    /// <param name="c">[rows, n].</param>
    /// <param name="cStride">Elements from one row of C to the next.</param>
    /// <param name="scratch"><see cref="ScratchBytes"/>, starting at a multiple of 64.</param>
    public abstract void Multiply(byte* a, long stride, int rows, byte* packed, float* c, long cStride, byte* scratch);
}
