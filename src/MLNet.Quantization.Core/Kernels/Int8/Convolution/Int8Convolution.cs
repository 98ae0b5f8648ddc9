namespace MLNet.Quantization.Kernels;

/// <summary>
/// An INT8 convolution as an implicit matrix product: the rows are windows, read in segments from a padded, channels-last copy of the
/// image (or from the image itself), so that no window is ever copied. Bit for bit the product of the windows, whatever the kernel, the
/// batch and the threads. Immutable, for any number of threads.
/// </summary>
/// <param name="products">One a group, over weights that <see cref="PixelLayout.Arrange"/> has ordered.</param>
/// <param name="layout">Of the pixels.</param>
/// <param name="source">What is read.</param>
/// <param name="inPlace">Windows are read from the input, which no window may leave: u8 codes, a kernel that reads bytes, whole groups of channels.</param>
internal sealed unsafe class Int8Convolution(Int8Product[] products, PixelLayout layout, PixelSource source, bool inPlace)
{
    private readonly Int8Product[] _products = products;
    private readonly PixelLayout _layout = layout;
    private readonly PixelSource _source = source;
    private readonly bool _inPlace = inPlace;

    private Int8Kernel Kernel => _products[0].Weights.Kernel;

    private int OutputBytes => _products[0].Stage == OutputStage.Requantized ? 1 : 4;

    /// <summary>True where <see cref="PixelLayout"/> may read pixels where they are.</summary>
    public static bool CanReadInPlace(Int8Kernel kernel, PixelForm form, int channels, int groups) =>
        kernel.Form == ActivationForm.Bytes && form == PixelForm.Codes && channels / groups % kernel.GroupSize == 0;

    /// <summary>What depends on shapes alone; for <see cref="Run"/>.</summary>
    public Plan For(ConvolutionShape shape) => new(this, shape);

    /// <param name="plan">Of the shapes at hand.</param>
    /// <param name="input">[images, depth, height, width, channels], or as its source says.</param>
    /// <param name="output">[images, output pixels, outputs]; of the image that outputs are part of, where there is one.</param>
    /// <param name="rowScales">Float output: one scale of the activations an image, or one for all.</param>
    /// <param name="rowZeroPoints">Float output: the zero points that go with them.</param>
    /// <param name="workspace"><see cref="Plan.WorkspaceBytes"/>.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public void Run(
        Plan plan, ReadOnlySpan<byte> input, Span<byte> output, ReadOnlySpan<float> rowScales, ReadOnlySpan<int> rowZeroPoints, Span<byte> workspace, int maxThreads)
    {
        var shape = plan.Shape;
        long pixels = (long)shape.Images * shape.Output.Count;
        if (input.Length < (long)shape.Images * plan.InputBytes) throw new ArgumentException($"The input holds {input.Length} bytes, needed are {shape.Images * plan.InputBytes}.", nameof(input));
        if (output.Length < shape.Images * plan.OutputBytes) throw new ArgumentException($"The output holds {output.Length} bytes, needed are {shape.Images * plan.OutputBytes}.", nameof(output));
        if (workspace.Length < plan.WorkspaceBytes) throw new ArgumentException($"The workspace holds {workspace.Length} bytes, needed are {plan.WorkspaceBytes}.", nameof(workspace));
        if (pixels == 0 || shape.Outputs == 0) return;
        int lanes = shape.Work * shape.Images < ConvolutionGrid.Alone ? 1 : Parallelism.Resolve(maxThreads);
        fixed (byte* from = input, to = output, work = workspace)
        fixed (float* scales = rowScales)
        fixed (int* zeroPoints = rowZeroPoints)
        {
            byte* scratch = (byte*)(((nint)work + AlignedBuffer.Alignment - 1) & -AlignedBuffer.Alignment);
            var run = new Pass(plan, from, to, scales, rowScales.Length > 1 ? 1 : 0, zeroPoints, rowZeroPoints.Length > 1 ? 1 : 0, scratch);
            if (_inPlace)
            {
                run.Kind = PassKind.ChunksOfAll;
                WorkerPool.Run(ref run, shape.Images * plan.Chunks, lanes);
            }
            else if (shape.Images >= 2 * lanes || lanes == 1)
            {
                run.Kind = PassKind.Images;
                WorkerPool.Run(ref run, shape.Images, Math.Min(lanes, plan.CopyLanes));
            }
            else
            {
                for (run.Image = 0; run.Image < shape.Images; run.Image++)
                {
                    run.Kind = PassKind.LinesOfOne;
                    WorkerPool.Run(ref run, plan.LineChunks, lanes);
                    run.Kind = PassKind.ChunksOfOne;
                    WorkerPool.Run(ref run, plan.Chunks, lanes);
                }
            }
        }
        GC.KeepAlive(plan);
    }

    private enum PassKind
    {
        /// <summary>A chunk is an image.</summary>
        Images,

        /// <summary>A chunk is some lines of the copy of one image.</summary>
        LinesOfOne,

        /// <summary>A chunk is a chunk of the grid of one image.</summary>
        ChunksOfOne,

        /// <summary>A chunk is a chunk of the grid of any image, in place.</summary>
        ChunksOfAll,
    }

    private struct Pass(Plan plan, byte* input, byte* output, float* scales, int scaleStep, int* zeroPoints, int zeroPointStep, byte* scratch) : IParallelBody
    {
        public PassKind Kind;
        public int Image;

        public readonly void Run(int chunk, int lane)
        {
            switch (Kind)
            {
                case PassKind.Images:
                    byte* copy = scratch + (lane * (plan.Copy.Bytes + plan.Copy.ScratchBytes));
                    for (int line = 0; line < plan.Copy.Lines; line++) plan.Copy.CopyLine(ImageAt(chunk), line, copy + (line * plan.Copy.LineBytes), copy + plan.Copy.Bytes, ZeroPointOf(chunk));
                    for (int i = 0; i < plan.Chunks; i++) Compute(copy, chunk, i);
                    break;
                case PassKind.LinesOfOne:
                    int end = (int)((long)plan.Copy.Lines * (chunk + 1) / plan.LineChunks);
                    for (int line = (int)((long)plan.Copy.Lines * chunk / plan.LineChunks); line < end; line++)
                        plan.Copy.CopyLine(ImageAt(Image), line, scratch + (line * plan.Copy.LineBytes), scratch + plan.Copy.Bytes + (lane * plan.Copy.ScratchBytes), ZeroPointOf(Image));
                    break;
                case PassKind.ChunksOfOne:
                    Compute(scratch, Image, chunk);
                    break;
                default:
                    Compute(ImageAt(chunk / plan.Chunks), chunk / plan.Chunks, chunk % plan.Chunks);
                    break;
            }
        }

        private readonly int ZeroPointOf(int image) => zeroPoints == null ? plan.ZeroPoint : zeroPoints[image * zeroPointStep];

        private readonly byte* ImageAt(int image) => input + (image * plan.InputBytes);

        private readonly void Compute(byte* pixels, int image, int chunk)
        {
            var t = new TileArguments { RowScales = scales + (image * scaleStep), RowZeroPoints = zeroPoints + (image * zeroPointStep) };
            plan.Compute(ref t, pixels, output + (image * plan.OutputBytes), chunk);
        }
    }

    /// <summary>A convolution at fixed extents. Immutable.</summary>
    internal sealed class Plan
    {
        /// <summary>A copy below which one thread is quicker than waking a second.</summary>
        private const int AloneBytes = 96 << 10;

        private readonly Int8Convolution _owner;
        private readonly ConvolutionGrid _grid;
        private readonly AlignedBuffer _jumps;
        private readonly long _pixelBytes, _lineBytes;
        private readonly Placement _place;
        private readonly int _linesPerSlice;

        public Plan(Int8Convolution owner, ConvolutionShape shape)
        {
            _owner = owner;
            if (owner._layout.RunPixels == 1) shape = shape.WidthFirst();
            Shape = shape;
            Copy = new(owner.Kernel.Form, shape, owner._layout.Stride, owner._source);
            _pixelBytes = Copy.PixelBytes;
            _lineBytes = owner._inPlace ? shape.Input.Width * _pixelBytes : Copy.LineBytes;
            _linesPerSlice = owner._inPlace ? shape.Input.Height : shape.Padded.Height;
            InputBytes = (long)shape.Input.Count * shape.Channels * owner._source.ElementBytes;
            _place = shape.Placement ?? new(shape.Output, default, Extents.One);
            OutputBytes = (long)_place.Image.Count * shape.Outputs * owner.OutputBytes;
            _grid = ConvolutionGrid.For(shape, owner._products[0].Weights, owner._inPlace ? InputBytes : Copy.Bytes);
            Chunks = _grid.Chunks * shape.Groups;
            LineChunks = Copy.Bytes < AloneBytes ? 1 : Math.Min(Copy.Lines, WorkerPool.LaneCount);
            CopyLanes = Math.Max(1, Math.Min(WorkerPool.LaneCount, shape.Images));
            WorkspaceBytes = owner._inPlace ? 0 : AlignedBuffer.Alignment
                + Math.Max(CopyLanes * (Copy.Bytes + Copy.ScratchBytes), Copy.Bytes + (WorkerPool.LaneCount * Copy.ScratchBytes));
            _jumps = Jumps();
        }

        public ConvolutionShape Shape { get; }

        /// <summary>Of the activations, where the images have none of their own.</summary>
        public int ZeroPoint => _owner._source.Parameters.ZeroPoint;

        public PaddedImage Copy { get; }

        /// <summary>Of one image.</summary>
        public long InputBytes { get; }

        /// <summary>Of one image, with what is not this convolution's.</summary>
        public long OutputBytes { get; }

        public long WorkspaceBytes { get; }

        /// <summary>Of one image, all groups.</summary>
        public int Chunks { get; }

        /// <summary>Into which copying one image falls.</summary>
        public int LineChunks { get; }

        /// <summary>Copies of images that the workspace holds.</summary>
        public int CopyLanes { get; }

        /// <summary>One chunk of one image.</summary>
        public void Compute(ref TileArguments t, byte* pixels, byte* output, int chunk)
        {
            int group = chunk / _grid.Chunks;
            chunk %= _grid.Chunks;
            int panel = chunk % _grid.PanelChunks * _grid.Panels, x = chunk / _grid.PanelChunks % _grid.WidthChunks * _grid.Width;
            int line = chunk / _grid.PanelChunks / _grid.WidthChunks * _grid.Lines;
            int width = Math.Min(_grid.Width, Shape.Output.Width - x), lineEnd = Math.Min(line + _grid.Lines, Shape.Output.Depth * Shape.Output.Height);
            var product = _owner._products[group];
            int size = _owner.OutputBytes;
            product.SetStage(ref t);
            t.Lda = Shape.Strides.Width * _pixelBytes;
            long pixelC = (long)Shape.Outputs * size;
            t.Ldc = pixelC * _place.Steps.Width;
            t.Jumps = (long*)_jumps.Pointer;
            t.SegmentGroups = _owner._layout.SegmentLength / _owner.Kernel.GroupSize;
            while (line < lineEnd)
            {
                int z = line / Shape.Output.Height, y = line % Shape.Output.Height, lines = Math.Min(lineEnd - line, Shape.Output.Height - y);
                t.A = pixels + ((((long)z * Shape.Strides.Depth * _linesPerSlice) + (y * (long)Shape.Strides.Height)) * _lineBytes) + (x * t.Lda)
                    + ((long)group * Shape.GroupChannels * _owner.Kernel.ActivationBytes);
                long lineC = (((_place.First.Depth + ((long)z * _place.Steps.Depth)) * _place.Image.Height) + _place.First.Height + ((long)y * _place.Steps.Height)) * _place.Image.Width;
                t.C = output + ((lineC + _place.First.Width) * pixelC) + (x * t.Ldc) + ((long)group * Shape.GroupOutputs * size);
                product.RunLines(
                    t, lines, Shape.Strides.Height * _lineBytes, (long)_place.Steps.Height * _place.Image.Width * pixelC, width, panel, Math.Min(panel + _grid.Panels, product.Weights.Panels.Length));
                line += lines;
            }
        }

        private AlignedBuffer Jumps()
        {
            int segments = _owner._layout.Segments(Shape.Window), run = _owner._layout.RunPixels;
            var buffer = new AlignedBuffer(segments * sizeof(long));
            var jumps = (long*)buffer.Pointer;
            for (int s = 0; s < segments; s++)
                jumps[s] = s + 1 == segments ? TileArguments.LastJump : At(s + 1) - At(s) - (_owner._layout.SegmentLength * (long)_owner.Kernel.ActivationBytes);
            return buffer;

            long At(int segment)
            {
                int tap = segment * run, w = tap % Shape.Window.Width, h = tap / Shape.Window.Width % Shape.Window.Height, d = tap / Shape.Window.Width / Shape.Window.Height;
                return ((((long)d * Shape.Dilations.Depth * _linesPerSlice) + ((long)h * Shape.Dilations.Height)) * _lineBytes) + (w * Shape.Dilations.Width * _pixelBytes);
            }
        }
    }
}
