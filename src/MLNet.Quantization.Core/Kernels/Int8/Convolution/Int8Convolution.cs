namespace MLNet.Quantization.Kernels;

/// <summary>
/// An INT8 convolution as an implicit matrix product: the rows are windows, read in segments from a padded, channels-last copy of the
/// image (or from the image itself), so that no window is ever copied. Bit for bit the product of the windows, whatever the kernel, the
/// batch and the threads. Immutable, for any number of threads.
/// </summary>
/// <param name="forms">The weights for the lines of outputs that are long enough, widest first; the last of one output a row.</param>
/// <param name="source">What is read.</param>
/// <param name="inPlace">Windows are read from the input, which no window may leave: u8 codes, a kernel that reads bytes, whole groups of channels.</param>
internal sealed unsafe class Int8Convolution(ConvolutionForm[] forms, PixelSource source, bool inPlace)
{
    private readonly ConvolutionForm[] _forms = forms;
    private readonly PixelSource _source = source;
    private readonly bool _inPlace = inPlace;

    private Int8Kernel Kernel => _forms[0].Products[0].Weights.Kernel;

    private int OutputBytes => _forms[0].Products[0].Stage == OutputStage.Requantized ? 1 : 4;

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
        int lanes = WorkerPool.LanesFor(shape.Images * plan.Time, maxThreads);
        fixed (byte* from = input, to = output, work = workspace)
        fixed (float* scales = rowScales)
        fixed (int* zeroPoints = rowZeroPoints)
        {
            byte* scratch = (byte*)(((nint)work + AlignedBuffer.Alignment - 1) & -AlignedBuffer.Alignment);
            bool wholeImages = shape.Images >= 2 * lanes || shape.Images % lanes == 0;
            var kind = _inPlace ? PassKind.InPlace : wholeImages ? PassKind.Images : PassKind.Parts;
            var split = plan.SplitFor(wholeImages ? 1 : lanes);
            var run = new Pass(plan, kind, split, from, to, scales, rowScales.Length > 1 ? 1 : 0, zeroPoints, rowZeroPoints.Length > 1 ? 1 : 0, scratch);
            WorkerPool.Run(ref run, kind == PassKind.Images ? shape.Images : shape.Images * split.Chunks, lanes);
        }
        GC.KeepAlive(plan);
    }

    private enum PassKind
    {
        /// <summary>A chunk is an image.</summary>
        Images,

        /// <summary>A chunk is one of the grid of any image, with a copy of the lines that it reads.</summary>
        Parts,

        /// <summary>A chunk is one of the grid of any image.</summary>
        InPlace,
    }

    private readonly struct Pass(Plan plan, PassKind kind, Split split, byte* input, byte* output, float* scales, int scaleStep, int* zeroPoints, int zeroPointStep, byte* scratch) : IParallelBody
    {
        public void Run(int chunk, int lane)
        {
            if (kind == PassKind.InPlace)
            {
                Compute(ImageAt(chunk / split.Chunks), chunk / split.Chunks, chunk % split.Chunks);
                return;
            }
            byte* copy = scratch + (lane * split.LaneBytes);
            if (kind == PassKind.Images)
            {
                Copy(chunk, copy, 0, plan.Copy.Lines);
                for (int i = 0; i < split.Chunks; i++) Compute(copy, chunk, i);
                return;
            }
            var (image, part) = Math.DivRem(chunk, split.Chunks);
            var (first, end) = plan.LinesOf(split, part);
            Copy(image, copy, first, end);
            // Where the whole copy would begin.
            Compute(copy - (first * plan.Copy.LineBytes), image, part);
        }

        private void Copy(int image, byte* to, int first, int end)
        {
            byte* beside = to + plan.Copy.BytesOf(end - first);
            for (int line = first; line < end; line++) plan.Copy.CopyLine(ImageAt(image), line, to + ((line - first) * plan.Copy.LineBytes), beside, ZeroPointOf(image));
        }

        private int ZeroPointOf(int image) => zeroPoints == null ? plan.ZeroPoint : zeroPoints[image * zeroPointStep];

        private byte* ImageAt(int image) => input + (image * plan.InputBytes);

        private void Compute(byte* pixels, int image, int chunk)
        {
            var t = new TileArguments { RowScales = scales + (image * scaleStep), RowZeroPoints = zeroPoints + (image * zeroPointStep) };
            plan.Compute(split.Grid, ref t, pixels, output + (image * plan.OutputBytes), chunk);
        }
    }

    /// <summary>How one image is spread.</summary>
    /// <param name="Grid">Of one group.</param>
    /// <param name="Chunks">Of all groups.</param>
    /// <param name="LaneBytes">Scratch memory of a lane.</param>
    internal sealed record Split(ConvolutionGrid Grid, int Chunks, long LaneBytes);

    /// <summary>A convolution at fixed extents. Immutable.</summary>
    internal sealed class Plan
    {
        /// <summary>Nanoseconds of a byte that is copied.</summary>
        private const double CopyTime = 0.05;

        private readonly Int8Convolution _owner;
        private readonly ConvolutionForm _form;
        private readonly Split[] _splits;
        private readonly AlignedBuffer _jumps;
        private readonly long _pixelBytes, _lineBytes;
        private readonly Placement _place;
        private readonly int _linesPerSlice;

        public Plan(Int8Convolution owner, ConvolutionShape shape)
        {
            _owner = owner;
            if (owner._forms[^1].Layout.RunPixels == 1) shape = shape.WidthFirst();
            Shape = shape;
            _form = Array.Find(owner._forms, f => f.Pixels <= shape.Output.Width) ?? owner._forms[^1];
            Copy = new(owner.Kernel.Form, shape, _form.Layout.Stride, owner._source);
            _pixelBytes = Copy.PixelBytes;
            _lineBytes = owner._inPlace ? shape.Input.Width * _pixelBytes : Copy.LineBytes;
            _linesPerSlice = owner._inPlace ? shape.Input.Height : shape.Padded.Height;
            InputBytes = (long)shape.Input.Count * shape.Channels * owner._source.ElementBytes;
            _place = shape.Placement ?? new(shape.Output, default, Extents.One);
            OutputBytes = (long)_place.Image.Count * shape.Outputs * owner.OutputBytes;
            Time = ConvolutionGrid.Time(shape) + (owner._inPlace ? 0 : CopyTime * Copy.Bytes);
            _splits = new Split[WorkerPool.LaneCount];
            for (int lanes = 1; lanes <= _splits.Length; lanes++) _splits[lanes - 1] = SplitOver(lanes);
            WorkspaceBytes = owner._inPlace ? 0 : AlignedBuffer.Alignment + Enumerable.Range(1, _splits.Length).Max(lanes => LanesOf(lanes) * _splits[lanes - 1].LaneBytes);
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

        /// <summary>What one image takes on one thread, roughly, in nanoseconds.</summary>
        public double Time { get; }

        /// <summary>One image for so many lanes; 1 also where each lane takes whole images.</summary>
        public Split SplitFor(int lanes) => _splits[lanes - 1];

        private Split SplitOver(int lanes)
        {
            var grid = ConvolutionGrid.For(Shape, _form.Products[0].Weights, _owner._inPlace ? InputBytes : Copy.Bytes, lanes);
            var split = new Split(grid, grid.LineChunks * grid.WidthChunks * grid.PanelChunks * Shape.Groups, 0);
            if (_owner._inPlace) return split;
            int lines = Copy.Lines;
            if (lanes > 1 && Shape.Output.Count > 0) lines = Enumerable.Range(0, grid.LineChunks).Max(i => LinesAt(grid, i) is var (first, end) ? end - first : 0);
            return split with { LaneBytes = Copy.BytesOf(lines) + Copy.ScratchBytes };
        }

        /// <summary>Lanes that need memory where an image is spread over <paramref name="lanes"/> of them.</summary>
        private int LanesOf(int lanes) => lanes > 1 ? lanes : Math.Max(1, Math.Min(WorkerPool.LaneCount, Shape.Images));

        /// <summary>The lines of the copy that a chunk reads.</summary>
        public (int First, int End) LinesOf(Split split, int chunk) => LinesAt(split.Grid, chunk % (split.Chunks / Shape.Groups) / split.Grid.PanelChunks / split.Grid.WidthChunks);

        private (int First, int End) LinesAt(ConvolutionGrid grid, int lineChunk)
        {
            int all = Shape.Output.Depth * Shape.Output.Height, first = ConvolutionGrid.At(all, lineChunk, grid.LineChunks), last = ConvolutionGrid.At(all, lineChunk + 1, grid.LineChunks) - 1;
            int end = FirstLine(last) + ((Shape.Window.Depth - 1) * Shape.Dilations.Depth * _linesPerSlice) + ((Shape.Window.Height - 1) * Shape.Dilations.Height) + 1;
            return (FirstLine(first), end);
        }

        /// <summary>The line where the windows of a line of outputs begin.</summary>
        private int FirstLine(int line) => (line / Shape.Output.Height * Shape.Strides.Depth * _linesPerSlice) + (line % Shape.Output.Height * Shape.Strides.Height);

        /// <summary>One chunk of one image.</summary>
        public void Compute(ConvolutionGrid grid, ref TileArguments t, byte* pixels, byte* output, int chunk)
        {
            (chunk, int panelChunk) = Math.DivRem(chunk, grid.PanelChunks);
            (chunk, int widthChunk) = Math.DivRem(chunk, grid.WidthChunks);
            var (group, lineChunk) = Math.DivRem(chunk, grid.LineChunks);
            int panels = _form.Products[group].Weights.Panels.Length, allLines = Shape.Output.Depth * Shape.Output.Height;
            int panel = ConvolutionGrid.At(panels, panelChunk, grid.PanelChunks), panelEnd = ConvolutionGrid.At(panels, panelChunk + 1, grid.PanelChunks);
            int x = ConvolutionGrid.At(Shape.Output.Width, widthChunk, grid.WidthChunks), width = ConvolutionGrid.At(Shape.Output.Width, widthChunk + 1, grid.WidthChunks) - x;
            int line = ConvolutionGrid.At(allLines, lineChunk, grid.LineChunks), lineEnd = ConvolutionGrid.At(allLines, lineChunk + 1, grid.LineChunks);
            var product = _form.Products[group];
            int size = _owner.OutputBytes;
            product.SetStage(ref t);
            long pixelA = Shape.Strides.Width * _pixelBytes, pixelC = (long)Shape.Outputs * size, stepC = pixelC * _place.Steps.Width;
            (t.Lda, t.Ldc) = (pixelA * _form.Pixels, stepC * _form.Pixels);
            int rows = width / _form.Pixels, rest = width % _form.Pixels;
            t.Jumps = (long*)_jumps.Pointer;
            t.SegmentGroups = _form.Layout.SegmentLength / _owner.Kernel.GroupSize;
            while (line < lineEnd)
            {
                int z = line / Shape.Output.Height, y = line % Shape.Output.Height, lines = Math.Min(lineEnd - line, Shape.Output.Height - y);
                t.A = pixels + ((((long)z * Shape.Strides.Depth * _linesPerSlice) + (y * (long)Shape.Strides.Height)) * _lineBytes) + (x * pixelA)
                    + ((long)group * Shape.GroupChannels * _owner.Kernel.ActivationBytes);
                long lineC = (((_place.First.Depth + ((long)z * _place.Steps.Depth)) * _place.Image.Height) + _place.First.Height + ((long)y * _place.Steps.Height)) * _place.Image.Width;
                t.C = output + ((lineC + _place.First.Width) * pixelC) + (x * stepC) + ((long)group * Shape.GroupOutputs * size);
                long lineA = Shape.Strides.Height * _lineBytes, placeC = (long)_place.Steps.Height * _place.Image.Width * pixelC;
                product.RunLines(t, lines, lineA, placeC, rows, panel, panelEnd);
                if (rest > 0)
                {
                    // One more row, which computes some outputs a second time.
                    t.A += (width - _form.Pixels) * pixelA;
                    t.C += (width - _form.Pixels) * stepC;
                    product.RunLines(t, lines, lineA, placeC, 1, panel, panelEnd);
                }
                line += lines;
            }
        }

        private AlignedBuffer Jumps()
        {
            var window = Shape.Window with { Width = Shape.Window.Width + ((_form.Pixels - 1) * Shape.Strides.Width) };
            int segments = _form.Layout.Segments(window), run = _form.Layout.RunPixels;
            var buffer = new AlignedBuffer(segments * sizeof(long));
            var jumps = (long*)buffer.Pointer;
            for (int s = 0; s < segments; s++)
                jumps[s] = s + 1 == segments ? TileArguments.LastJump : At(s + 1) - At(s) - (_form.Layout.SegmentLength * (long)_owner.Kernel.ActivationBytes);
            return buffer;

            long At(int segment)
            {
                int tap = segment * run, w = tap % window.Width, h = tap / window.Width % window.Height, d = tap / window.Width / window.Height;
                return ((((long)d * Shape.Dilations.Depth * _linesPerSlice) + ((long)h * Shape.Dilations.Height)) * _lineBytes) + (w * Shape.Dilations.Width * _pixelBytes);
            }
        }
    }
}
