namespace MLNet.Quantization.Kernels;

/// <summary>
/// y = x · W + b over rows that are put into slots one by one, from wherever they lie: what a recurrent layer computes for its inputs and,
/// at each step, for its state. On the calling thread. Immutable; what a caller needs lies in its own slots.
/// </summary>
internal abstract unsafe class RowProduct
{
    /// <summary>Elements of a row of x.</summary>
    public abstract int K { get; }

    /// <summary>Elements of a row of y.</summary>
    public abstract int N { get; }

    /// <summary>Bytes of memory, starting at a multiple of 64, for so many slots.</summary>
    public abstract long SlotBytes(int slots);

    /// <summary>Takes a row of x.</summary>
    /// <param name="x">K elements of the type that the product reads.</param>
    /// <param name="slot">Below <paramref name="slots"/>.</param>
    /// <param name="memory"><see cref="SlotBytes"/> of <paramref name="slots"/>.</param>
    /// <param name="slots">How many the memory is for.</param>
    public abstract void Put(byte* x, int slot, byte* memory, int slots);

    /// <summary>Multiplies the first <paramref name="rows"/> slots.</summary>
    /// <param name="rows">0 or more.</param>
    /// <param name="memory">Their slots, all put.</param>
    /// <param name="slots">How many the memory is for.</param>
    /// <param name="y">[rows, N].</param>
    public abstract void Run(int rows, byte* memory, int slots, float* y);
}

/// <summary>Float32 rows (<see cref="FloatGemm"/>).</summary>
/// <param name="weights">W.</param>
/// <param name="bias">b, N values, or empty.</param>
internal sealed unsafe class FloatRows(FloatWeights weights, float[] bias) : RowProduct
{
    public override int K => weights.K;

    public override int N => weights.N;

    public override long SlotBytes(int slots) => AlignedBuffer.Align(4L * K * slots);

    public override void Put(byte* x, int slot, byte* memory, int slots) => Buffer.MemoryCopy(x, memory + (4L * K * slot), 4L * K, 4L * K);

    public override void Run(int rows, byte* memory, int slots, float* y) =>
        FloatGemm.Multiply(new(memory, checked(rows * K)), rows, weights, bias, new(y, checked(rows * N)), maxThreads: 1);
}

/// <summary>Float32 rows, each quantized by its own range (<see cref="RowQuantizer"/>), times s8 weights (<see cref="FloatProduct"/>).</summary>
/// <param name="product">W and b; at most <see cref="Int8Product.MaxExactK"/> rows of weights.</param>
internal sealed unsafe class DynamicRows(FloatProduct product) : RowProduct
{
    public override int K => product.Weights.K;

    public override int N => product.Weights.N;

    private long Stride { get; } = ActivationRows.Stride(product.Weights.Kernel, product.Weights.K);

    public override long SlotBytes(int slots) => (2 * AlignedBuffer.Align(4L * slots)) + (Stride * slots) + AlignedBuffer.Align(K);

    public override void Put(byte* x, int slot, byte* memory, int slots)
    {
        var scales = (float*)memory;
        var zeroPoints = (int*)(memory + AlignedBuffer.Align(4L * slots));
        byte* rows = memory + (2 * AlignedBuffer.Align(4L * slots)), row = rows + (Stride * slot);
        var kernel = product.Weights.Kernel;
        if (kernel.Form == ActivationForm.Bytes)
        {
            (scales[slot], zeroPoints[slot]) = RowQuantizer.Row((float*)x, K, row);
            for (int i = K; i % kernel.GroupSize != 0; i++) row[i] = 0;
        }
        else
        {
            byte* codes = rows + (Stride * slots);
            (scales[slot], zeroPoints[slot]) = RowQuantizer.Row((float*)x, K, codes);
            ActivationRows.Copy(kernel, codes, K, 1, K, row, Stride);
        }
    }

    public override void Run(int rows, byte* memory, int slots, float* y)
    {
        product.RunCopied(memory + (2 * AlignedBuffer.Align(4L * slots)), rows, (float*)memory, (int*)(memory + AlignedBuffer.Align(4L * slots)), 4, y);
        GC.KeepAlive(product);
    }
}

/// <summary>Rows of codes that share one scale and zero point, times s8 weights (<see cref="FloatProduct"/>).</summary>
/// <param name="product">W and b; at most <see cref="Int8Product.MaxExactK"/> rows of weights.</param>
/// <param name="scale">Of the codes.</param>
/// <param name="zeroPoint">Of the codes as u8: 128 more where they are s8.</param>
/// <param name="signed">The codes are s8.</param>
internal sealed unsafe class CodeRows(FloatProduct product, float scale, int zeroPoint, bool signed) : RowProduct
{
    public override int K => product.Weights.K;

    public override int N => product.Weights.N;

    private long Stride { get; } = ActivationRows.Stride(product.Weights.Kernel, product.Weights.K);

    public override long SlotBytes(int slots) => Stride * slots;

    public override void Put(byte* x, int slot, byte* memory, int slots)
    {
        var kernel = product.Weights.Kernel;
        byte* row = memory + (Stride * slot);
        if (signed) ActivationRows.CopySignedRun(kernel.Form, x, K, row);
        else ActivationRows.CopyRun(kernel.Form, x, K, row);
        for (int i = K * kernel.ActivationBytes; i % (kernel.GroupSize * kernel.ActivationBytes) != 0; i++) row[i] = 0;
    }

    public override void Run(int rows, byte* memory, int slots, float* y)
    {
        float oneScale = scale;
        int oneZero = zeroPoint;
        product.RunCopied(memory, rows, &oneScale, &oneZero, 0, y);
        GC.KeepAlive(product);
    }
}
