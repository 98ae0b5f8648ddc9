namespace MLNet.Quantization.Kernels;

/// <summary>
/// Products whose sums can leave int32 (k above <see cref="Int8Product.MaxExactK"/>): k is split into segments that cannot, their int32
/// sums are added in int64, and the output stage is the definition's own.
/// </summary>
internal static unsafe class LongSums
{
    /// <summary>A multiple of every group size, at most <see cref="Int8Product.MaxExactK"/>.</summary>
    private const int Segment = 65536;

    private const int RowsPerChunk = 4;

    public static int Chunks(int m) => (m + RowsPerChunk - 1) / RowsPerChunk;

    /// <summary>Activations of a segment, its int32 sums and the int64 sums; the offsets of a tile, all zero.</summary>
    public static long LaneBytes(int m, Int8Weights weights) =>
        (Math.Min(m, RowsPerChunk) * (Stride(weights) + (12L * weights.PaddedN))) + (4L * weights.PaddedN) + AlignedBuffer.Alignment;

    private static long Stride(Int8Weights weights) => ActivationRows.Stride(weights.Kernel, Segment);

    public static void Run(Int8Product product, in TileArguments template, int m, byte* scratch, int lanes, int maxThreads)
    {
        var body = new Body(product, template, m, scratch, LaneBytes(m, product.Weights));
        WorkerPool.Run(ref body, Chunks(m), Math.Min(Parallelism.Resolve(maxThreads), lanes));
    }

    private readonly struct Body(Int8Product product, TileArguments template, int m, byte* scratch, long laneBytes) : IParallelBody
    {
        public void Run(int chunk, int lane)
        {
            var weights = product.Weights;
            int row = chunk * RowsPerChunk, rows = Math.Min(RowsPerChunk, m - row), padded = weights.PaddedN;
            byte* memory = (byte*)(((nint)(scratch + (lane * laneBytes)) + AlignedBuffer.Alignment - 1) & -AlignedBuffer.Alignment);
            long* sums = (long*)memory;
            int* part = (int*)(sums + ((long)rows * padded));
            int* zeros = part + ((long)rows * padded);
            byte* activations = (byte*)(zeros + padded);
            new Span<byte>(memory, checked((int)(8L * rows * padded))).Clear();
            new Span<int>(zeros, padded).Clear();
            for (long k = 0; k < weights.K; k += Segment)
            {
                long length = Math.Min(Segment, weights.K - k);
                ActivationRows.Copy(weights.Kernel, template.A + (row * template.Lda) + k, template.Lda, rows, length, activations, Stride(weights));
                Part(weights, k, length, rows, activations, zeros, part);
                for (long i = 0; i < (long)rows * padded; i++) sums[i] += part[i];
            }
            for (int i = 0; i < rows; i++) Finish(row + i, sums + ((long)i * padded));
        }

        /// <summary>The int32 sums of one segment, [rows, padded n].</summary>
        private static void Part(Int8Weights weights, long k, long length, int rows, byte* activations, int* zeros, int* part)
        {
            var kernel = weights.Kernel;
            foreach (ref readonly var p in weights.Panels.AsSpan())
            {
                for (int r = 0; r < rows;)
                {
                    int tileRows = Math.Min(rows - r, kernel.MaxRows(p.Vectors));
                    var t = new TileArguments
                    {
                        A = activations + (r * Stride(weights)),
                        Lda = Stride(weights),
                        B = weights.Pointer + p.Offset + (k * p.Width),
                        Groups = (length + kernel.GroupSize - 1) / kernel.GroupSize,
                        C = (byte*)(part + ((long)r * weights.PaddedN) + p.Column),
                        Ldc = 4L * weights.PaddedN,
                        Offsets = zeros,
                        Columns = p.Width,
                        LastVectorMask = ulong.MaxValue >> (64 - kernel.Lanes),
                        Stage = OutputStage.Int32,
                    };
                    Int8Kernel.Call(kernel.Tile(OutputStage.Int32, p.Vectors, tileRows, segmented: false), kernel.IsNative, &t);
                    r += tileRows;
                }
            }
        }

        private void Finish(int row, long* sums)
        {
            var weights = product.Weights;
            int form = weights.Kernel.Form == ActivationForm.SignedBytes ? 128 : 0;
            for (int j = 0; j < weights.N; j++)
            {
                long acc = sums[j] + (form * weights.ExactColumnSums[j]) + product.LongOffset(j);
                if (template.Stage == OutputStage.Requantized)
                {
                    template.C[(row * template.Ldc) + j] = NaiveInt8.Requantize(acc, template.Scales[j], template.ZeroPoint, template.Low, template.High);
                    continue;
                }
                int zeroPoint = *(int*)((byte*)template.RowZeroPoints + (row * template.RowZeroPointStep));
                float scale = *(float*)((byte*)template.RowScales + (row * template.RowScaleStep));
                acc -= zeroPoint * weights.ExactColumnSums[j];
                ((float*)(template.C + (row * template.Ldc)))[j] = NaiveInt8.Scale(acc, scale, template.Scales[j], template.Bias[j]);
            }
        }
    }
}
