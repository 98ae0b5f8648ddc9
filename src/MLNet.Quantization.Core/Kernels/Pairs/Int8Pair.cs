using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// Factors of 8-bit codes: A as u8 codes, B as s8 codes in panels that are packed for the call. c = ((float)sum · Sa) · Sb, as
/// <see cref="FloatProduct"/> has it, with an exact sum.
/// </summary>
internal abstract unsafe class Int8Pair : PairProduct
{
    private const int MostRows = 16;

    private readonly nint[] _tiles = new nint[5 * MostRows];

    /// <param name="k">Elements of one sum.</param>
    /// <param name="n">Columns of B.</param>
    /// <param name="kernel">Null: <see cref="Int8Gemm.Best"/>.</param>
    protected Int8Pair(int k, int n, Int8Kernel? kernel) : base(k, n) => Layout = new(kernel ?? Int8Gemm.Best, k, n);

    protected Int8Layout Layout { get; }

    /// <summary>Of the copied rows of A.</summary>
    protected long RowStride => ActivationRows.Stride(Layout.Kernel, K);

    /// <summary>The panels, then what there is for each column: offset, scale, sum, bias.</summary>
    public override long PackedBytes => AlignedBuffer.Align(Layout.Bytes) + (4 * AlignedBuffer.Align(4L * Layout.PaddedN));

    /// <summary>Bytes from one column of codes to the next while B is packed: whole groups of any kernel.</summary>
    protected long ColumnStride => (K + 3) / 4 * 4;

    /// <summary>Scales, zero points and codes of the rows, and one row more; or, while B is packed, the codes of its columns.</summary>
    public override long ScratchBytes(int rows) =>
        Math.Max((2 * AlignedBuffer.Align(4L * rows)) + (rows * RowStride) + AlignedBuffer.Align(K), AlignedBuffer.Align(N * ColumnStride));

    protected int* Offsets(byte* packed) => (int*)(packed + AlignedBuffer.Align(Layout.Bytes));

    protected float* Scales(byte* packed) => (float*)((byte*)Offsets(packed) + AlignedBuffer.Align(4L * Layout.PaddedN));

    /// <summary>What the zero point of a row is multiplied with.</summary>
    protected int* Sums(byte* packed) => (int*)((byte*)Scales(packed) + AlignedBuffer.Align(4L * Layout.PaddedN));

    private float* Bias(byte* packed) => (float*)((byte*)Sums(packed) + AlignedBuffer.Align(4L * Layout.PaddedN));

    protected void ClearBias(byte* packed) => new Span<float>(Bias(packed), Layout.PaddedN).Clear();

    protected static float* RowScales(byte* scratch) => (float*)scratch;

    protected static int* RowZeroPoints(byte* scratch, int rows) => (int*)(scratch + AlignedBuffer.Align(4L * rows));

    protected static byte* RowCodes(byte* scratch, int rows) => (byte*)RowZeroPoints(scratch, rows) + AlignedBuffer.Align(4L * rows);

    /// <summary>Memory for K codes.</summary>
    protected byte* OneRow(byte* scratch, int rows) => RowCodes(scratch, rows) + (rows * RowStride);

    /// <summary>Zeros behind a column of B up to the next one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected void PadColumn(sbyte* column)
    {
        for (long i = K; i < ColumnStride; i++) column[i] = 0;
    }

    /// <summary>Zeros behind a row of A up to the next whole group.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected void PadRow(byte* row)
    {
        int bytes = Layout.Kernel.ActivationBytes;
        for (long i = K * bytes; i < Layout.Groups * Layout.Kernel.GroupSize * bytes; i++) row[i] = 0;
    }

    /// <param name="a">Rows in the kernel's form, readable up to whole groups.</param>
    /// <param name="lda">Bytes from one to the next.</param>
    /// <param name="rows">How many.</param>
    /// <param name="packed">B.</param>
    /// <param name="c">Where to.</param>
    /// <param name="cStride">Elements.</param>
    /// <param name="rowScales">Sa.</param>
    /// <param name="scaleStep">Bytes from one to the next, 4 or 0.</param>
    /// <param name="rowZeroPoints">One a row.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    protected void RunTiles(byte* a, long lda, int rows, byte* packed, float* c, long cStride, float* rowScales, int scaleStep, int* rowZeroPoints)
    {
        var kernel = Layout.Kernel;
        var t = new TileArguments { Lda = lda, Ldc = 4 * cStride, Groups = Layout.Groups, RowScaleStep = scaleStep, RowZeroPointStep = 4, Stage = OutputStage.Float };
        foreach (ref readonly var p in Layout.Panels.AsSpan())
        {
            t.B = (sbyte*)packed + p.Offset;
            t.Columns = p.Columns;
            t.LastVectorMask = p.LastVectorMask;
            t.Offsets = Offsets(packed) + p.Column;
            t.Scales = Scales(packed) + p.Column;
            t.ColumnSums = Sums(packed) + p.Column;
            t.Bias = Bias(packed) + p.Column;
            int most = kernel.MaxRows(p.Vectors), tiles = (rows + most - 1) / most, height = rows / tiles, extra = rows % tiles;
            for (int r = 0; r < rows;)
            {
                int tileRows = extra-- > 0 ? height + 1 : height;
                t.A = a + (r * lda);
                t.C = (byte*)(c + (r * cStride) + p.Column);
                t.RowScales = (float*)((byte*)rowScales + ((long)r * scaleStep));
                t.RowZeroPoints = rowZeroPoints + r;
                Int8Kernel.Call(TileOf(p.Vectors, tileRows), kernel.IsNative, &t);
                r += tileRows;
            }
        }
    }

    private nint TileOf(int vectors, int rows)
    {
        ref nint tile = ref _tiles[(vectors * MostRows) + rows - 1];
        if (tile == 0) tile = Layout.Kernel.Tile(OutputStage.Float, vectors, rows, segmented: false);
        return tile;
    }
}
