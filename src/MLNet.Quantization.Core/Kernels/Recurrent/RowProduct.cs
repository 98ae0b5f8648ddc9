namespace MLNet.Quantization.Kernels;

/// <summary>
/// y = x · W + b over rows that are put into slots one by one, from wherever they lie: what a recurrent layer computes for its inputs and,
/// at each step, for its state. Immutable; what a caller needs lies in its own slots.
/// </summary>
internal abstract unsafe class RowProduct
{
    /// <summary>Elements of a row of x.</summary>
    public abstract int K { get; }

    /// <summary>Elements of a row of y.</summary>
    public abstract int N { get; }

    /// <summary>Bytes of memory, starting at a multiple of 64, for so many slots.</summary>
    public abstract long SlotBytes(int slots);

    /// <summary>Takes rows of x.</summary>
    /// <param name="x">The first: K elements of the type that the product reads.</param>
    /// <param name="stride">Bytes from one row to the next, also backwards.</param>
    /// <param name="rows">0 or more.</param>
    /// <param name="slot">Of the first row.</param>
    /// <param name="memory"><see cref="SlotBytes"/> of <paramref name="slots"/>.</param>
    /// <param name="slots">How many the memory is for.</param>
    public abstract void Put(byte* x, long stride, int rows, int slot, byte* memory, int slots);

    /// <summary>Multiplies the first <paramref name="rows"/> slots.</summary>
    /// <param name="rows">0 or more.</param>
    /// <param name="memory">Their slots, all put.</param>
    /// <param name="slots">How many the memory is for.</param>
    /// <param name="y">[rows, N].</param>
    /// <param name="fromEnd">
    /// The last columns first: same results, and a product that follows one over the same weights finds what that read last in the cache.
    /// </param>
    /// <param name="maxThreads">Most threads.</param>
    public abstract void Run(int rows, byte* memory, int slots, float* y, bool fromEnd, int maxThreads);
}

/// <summary>Float32 rows (<see cref="FloatGemm"/>).</summary>
/// <param name="weights">W.</param>
/// <param name="bias">b, N values, or empty.</param>
internal sealed unsafe class FloatRows(FloatWeights weights, float[] bias) : RowProduct
{
    public override int K => weights.K;

    public override int N => weights.N;

    public override long SlotBytes(int slots) => AlignedBuffer.Align(4L * K * slots);

    public override void Put(byte* x, long stride, int rows, int slot, byte* memory, int slots)
    {
        for (int i = 0; i < rows; i++) Buffer.MemoryCopy(x + (i * stride), memory + (4L * K * (slot + i)), 4L * K, 4L * K);
    }

    public override void Run(int rows, byte* memory, int slots, float* y, bool fromEnd, int maxThreads) =>
        FloatGemm.Multiply(new(memory, checked(rows * K)), rows, weights, bias, new(y, checked(rows * N)), maxThreads);
}

/// <summary>Float32 rows, each quantized by its own range (<see cref="RowQuantizer"/>), times s8 weights (<see cref="FloatProduct"/>).</summary>
/// <param name="product">W and b; at most <see cref="Int8Product.MaxExactK"/> rows of weights.</param>
internal sealed unsafe class DynamicRows(FloatProduct product) : RowProduct
{
    private readonly Int8Kernel _kernel = product.Weights.Kernel;

    private readonly bool _inPlace = product.Weights.Kernel.Form == ActivationForm.Bytes;

    /// <summary>Codes of a row, and zeros up to a whole group.</summary>
    private readonly int _padding = (int)(product.Weights.Groups * product.Weights.Kernel.GroupSize) - product.Weights.K;

    private readonly long _stride = ActivationRows.Stride(product.Weights.Kernel, product.Weights.K);

    public override int K { get; } = product.Weights.K;

    public override int N { get; } = product.Weights.N;

    public override long SlotBytes(int slots) => (2 * AlignedBuffer.Align(4L * slots)) + (_stride * slots) + AlignedBuffer.Align(K);

    public override void Put(byte* x, long stride, int rows, int slot, byte* memory, int slots)
    {
        float* scales = (float*)memory + slot;
        int* zeroPoints = (int*)(memory + AlignedBuffer.Align(4L * slots)) + slot;
        byte* to = Codes(memory, slots) + (_stride * slot);
        if (_inPlace)
        {
            RowQuantizer.Rows((float*)x, stride / sizeof(float), rows, K, to, _stride, scales, zeroPoints);
            for (int i = 0; i < rows && _padding > 0; i++) new Span<byte>(to + (i * _stride) + K, _padding).Clear();
            return;
        }
        byte* codes = Codes(memory, slots) + (_stride * slots);
        for (int i = 0; i < rows; i++)
        {
            RowQuantizer.Rows((float*)(x + (i * stride)), K, 1, K, codes, K, scales + i, zeroPoints + i);
            ActivationRows.Copy(_kernel, codes, K, 1, K, to + (i * _stride), _stride);
        }
    }

    public override void Run(int rows, byte* memory, int slots, float* y, bool fromEnd, int maxThreads)
    {
        product.RunCopied(Codes(memory, slots), rows, (float*)memory, (int*)(memory + AlignedBuffer.Align(4L * slots)), 4, y, fromEnd, maxThreads);
        GC.KeepAlive(product);
    }

    private static byte* Codes(byte* memory, int slots) => memory + (2 * AlignedBuffer.Align(4L * slots));
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

    public override void Put(byte* x, long stride, int rows, int slot, byte* memory, int slots)
    {
        var kernel = product.Weights.Kernel;
        byte* row = memory + (Stride * slot);
        for (int i = 0; i < rows; i++, x += stride, row += Stride)
        {
            if (signed) ActivationRows.CopySignedRun(kernel.Form, x, K, row);
            else ActivationRows.CopyRun(kernel.Form, x, K, row);
            for (int j = K * kernel.ActivationBytes; j % (kernel.GroupSize * kernel.ActivationBytes) != 0; j++) row[j] = 0;
        }
    }

    public override void Run(int rows, byte* memory, int slots, float* y, bool fromEnd, int maxThreads)
    {
        float oneScale = scale;
        int oneZero = zeroPoint;
        product.RunCopied(memory, rows, &oneScale, &oneZero, 0, y, fromEnd, maxThreads);
        GC.KeepAlive(product);
    }
}
