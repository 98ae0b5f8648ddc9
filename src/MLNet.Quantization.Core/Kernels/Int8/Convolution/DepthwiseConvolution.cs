using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// An INT8 convolution of each channel by itself, over one or two spatial axes, to 8-bit codes: widened to int16, two taps multiplied and
/// summed at once, all channels of a vector side by side, or by tiles of <see cref="QuadDepthwise"/>. Exact in int32, so the bits are those of
/// the definition on every instruction set. Immutable, for any number of threads.
/// </summary>
internal sealed unsafe class DepthwiseConvolution
{
    /// <summary>Lines of a chunk, as words, that stay in the second-level cache.</summary>
    private const int ChunkBytes = 192 << 10;

    private const int MostBits = 512;

    private readonly AlignedBuffer _weights, _constants;
    private readonly QuadDepthwise? _quads;
    private readonly PixelSource _source;
    private readonly int _channels, _bits, _blockChannels, _blocks, _taps, _outputZeroPoint;

    /// <summary>Pixels that fill a vector; 1 where a pixel does, or none fit evenly.</summary>
    private readonly int _repeat = 1;
    private readonly float _low, _high;

    /// <param name="weights">s8 [channels, window], window taps of at most 33,000.</param>
    /// <param name="channels">Channels.</param>
    /// <param name="source">What is read.</param>
    /// <param name="output">What comes out, its bias and multipliers by channel.</param>
    /// <param name="stride">Of the windows along the width.</param>
    /// <param name="bits">Width of the widest vectors to use; those of the INT8 kernel.</param>
    /// <param name="tiles">A kernel whose tiles compute the lines (<see cref="QuadDepthwise.Fits"/>); null: words.</param>
    public DepthwiseConvolution(ReadOnlySpan<sbyte> weights, int channels, PixelSource source, CodeOutput output, int stride, int bits = MostBits, Int8Kernel? tiles = null)
    {
        _channels = channels;
        _source = source;
        _taps = weights.Length / channels;
        _bits = Bits(bits, channels, stride);
        _blockChannels = Math.Max(1, _bits / 16);
        if (stride == 1 && _blockChannels > channels && _blockChannels % channels == 0) _repeat = _blockChannels / channels;
        _blocks = (channels + _blockChannels - 1) / _blockChannels;
        (_outputZeroPoint, _low, _high) = (output.ZeroPoint, output.ClampMin - output.ZeroPoint, output.ClampMax - output.ZeroPoint);
        _quads = tiles is null ? null : new(tiles, weights, channels, source, output, stride);
        if (_quads is not null) (_repeat, _blocks) = (1, 0);
        _weights = new AlignedBuffer((long)_blocks * BlockWeights * sizeof(short));
        _constants = new AlignedBuffer((long)_blocks * 2 * BlockConstants * sizeof(int));
        for (int c = 0; _blocks > 0 && c < channels * _repeat; c++) Place(c, weights.Slice(c % channels * _taps, _taps), output);
    }

    private int Pairs => (_taps + 1) / 2;

    /// <summary>Words of a block of channels: [pair of taps][lower, upper half][channel][tap of the pair].</summary>
    private int BlockWeights => Pairs * 2 * Math.Max(2, _blockChannels);

    /// <summary>Offsets of a block, and as many scales, in the order of the halves.</summary>
    private int BlockConstants => Math.Max(2, _blockChannels);

    /// <summary>What depends on shapes alone; for <see cref="Run"/>.</summary>
    public Plan For(ConvolutionShape shape) => new(this, shape);

    /// <param name="plan">Of the shapes at hand.</param>
    /// <param name="input">[images, height, width, channels], or as the source says.</param>
    /// <param name="output">[images, output pixels, channels].</param>
    /// <param name="workspace"><see cref="Plan.WorkspaceBytes"/>.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public void Run(Plan plan, ReadOnlySpan<byte> input, Span<byte> output, Span<byte> workspace, int maxThreads)
    {
        var shape = plan.Shape;
        long pixels = (long)shape.Images * shape.Output.Count;
        if (input.Length < shape.Images * plan.InputBytes) throw new ArgumentException($"The input holds {input.Length} bytes, needed are {shape.Images * plan.InputBytes}.", nameof(input));
        if (output.Length < pixels * _channels) throw new ArgumentException($"The output holds {output.Length} bytes, needed are {pixels * _channels}.", nameof(output));
        if (workspace.Length < plan.WorkspaceBytes) throw new ArgumentException($"The workspace holds {workspace.Length} bytes, needed are {plan.WorkspaceBytes}.", nameof(workspace));
        if (pixels == 0) return;
        fixed (byte* from = input, to = output, work = workspace)
        {
            byte* scratch = (byte*)(((nint)work + AlignedBuffer.Alignment - 1) & -AlignedBuffer.Alignment);
            int lanes = WorkerPool.LanesFor(shape.Images * plan.Time, maxThreads);
            var split = plan.SplitFor(shape.Images >= 2 * lanes || shape.Images % lanes == 0 ? 1 : lanes);
            var body = new Body(plan, split, from, to, scratch);
            WorkerPool.Run(ref body, shape.Images * split.LineChunks * split.WidthChunks, lanes);
        }
        GC.KeepAlive(this);
        GC.KeepAlive(plan);
    }

    /// <summary>No wider than a pixel, unless several fill a vector.</summary>
    private static int Bits(int most, int channels, int stride)
    {
        bool wide = channels > DepthLanes256.Channels || stride == 1 && DepthLanes512.Channels % channels == 0;
        if (DepthLanes512.IsSupported && most >= 512 && wide) return 512;
        if (DepthLanes256.IsSupported && most >= 256) return 256;
        return DepthLanesArm.IsSupported && most >= 128 ? 128 : 0;
    }

    private void Place(int channel, ReadOnlySpan<sbyte> taps, CodeOutput output)
    {
        int block = channel / _blockChannels, at = channel % _blockChannels, half = at / 4 % 2, lane = (at / 8 * 4) + (at % 4);
        int halfChannels = Math.Max(1, _blockChannels / 2), sum = 0;
        var words = (short*)_weights.Pointer + (block * BlockWeights);
        for (int t = 0; t < taps.Length; t++)
        {
            words[(((t / 2 * 2) + half) * 2 * halfChannels) + (lane * 2) + (t % 2)] = taps[t];
            sum += taps[t];
        }
        var offsets = (int*)_constants.Pointer + (block * 2 * BlockConstants);
        int place = (half * halfChannels) + lane;
        offsets[place] = unchecked((output.Bias.Length == 0 ? 0 : output.Bias[channel % _channels]) - (_source.Parameters.ZeroPoint * sum));
        ((float*)offsets)[BlockConstants + place] = output.Multipliers[channel % _channels];
    }

    private readonly struct Body(Plan plan, Split split, byte* input, byte* output, byte* scratch) : IParallelBody
    {
        public void Run(int chunk, int lane)
        {
            (chunk, int widthChunk) = Math.DivRem(chunk, split.WidthChunks);
            var (image, lineChunk) = Math.DivRem(chunk, split.LineChunks);
            plan.Compute(split, input + (image * plan.InputBytes), output + (image * plan.OutputBytes), lineChunk, widthChunk, scratch + (lane * split.LaneBytes));
        }
    }

    /// <summary>How one image is spread: by lines, and where they are too few for the lanes, by parts of them.</summary>
    /// <param name="LineChunks">Chunks along the lines.</param>
    /// <param name="WidthChunks">Chunks along a line.</param>
    /// <param name="LaneBytes">Scratch memory of a lane.</param>
    internal sealed record Split(int LineChunks, int WidthChunks, long LaneBytes);

    /// <summary>A convolution at fixed extents. Immutable.</summary>
    internal sealed class Plan
    {
        private readonly DepthwiseConvolution _owner;
        private readonly PaddedImage _copy;
        private readonly QuadDepthwise.Plan? _quads;
        private readonly AlignedBuffer _offsets;
        private readonly Split[] _splits;

        /// <summary>Nanoseconds of a multiply-add and of a word that is copied; the same by tiles, and of a byte that is zipped.</summary>
        private const double ProductTime = 0.04, WordTime = 0.1, QuadTime = 0.015, ZipTime = 0.1;

        /// <summary>Lines that a lane should have at least: what windows reach over is copied once more for each chunk.</summary>
        private const int LinesOfLane = 4;

        public Plan(DepthwiseConvolution owner, ConvolutionShape shape)
        {
            if (owner._repeat > 1 && shape.Strides.Width != 1) throw new ArgumentException("The windows move by another number of pixels than was said.", nameof(shape));
            if (shape.Output.Depth > 1 || shape.Window.Depth > 1) throw new ArgumentException("Over two spatial axes at most.", nameof(shape));
            _owner = owner;
            Shape = shape;
            _copy = new(ActivationForm.Words, shape, shape.Channels, owner._source);
            _quads = owner._quads?.For(shape);
            InputBytes = (long)shape.Input.Count * shape.Channels * owner._source.ElementBytes;
            OutputBytes = (long)shape.Output.Count * shape.Channels;
            Time = _quads is null
                ? (shape.Work * ProductTime) + ((double)_copy.Lines * _copy.LineBytes / sizeof(short) * WordTime)
                : (shape.Work * QuadTime) + (InputBytes * ZipTime);
            _splits = new Split[WorkerPool.LaneCount];
            for (int lanes = 1; lanes <= _splits.Length; lanes++) _splits[lanes - 1] = SplitOver(lanes);
            WorkspaceBytes = AlignedBuffer.Alignment + (Math.Min(WorkerPool.LaneCount, Math.Max(1, shape.Images)) * _splits[0].LaneBytes);
            for (int lanes = 2; lanes <= _splits.Length; lanes++) WorkspaceBytes = Math.Max(WorkspaceBytes, AlignedBuffer.Alignment + (lanes * _splits[lanes - 1].LaneBytes));
            _offsets = Offsets();
        }

        public ConvolutionShape Shape { get; }

        /// <summary>Of one image.</summary>
        public long InputBytes { get; }

        /// <summary>Of one image.</summary>
        public long OutputBytes { get; }

        public long WorkspaceBytes { get; }

        /// <summary>What one image takes on one thread, roughly, in nanoseconds.</summary>
        public double Time { get; }

        /// <summary>One image for so many lanes.</summary>
        public Split SplitFor(int lanes) => _splits[lanes - 1];

        private Split SplitOver(int lanes)
        {
            int height = Shape.Output.Height, window = (Shape.Window.Height - 1) * Shape.Dilations.Height;
            // Blocks of lines come and go: nothing is gained by fewer lines at a time.
            if (_quads is not null) return new(Math.Clamp(lanes, 1, Math.Max(1, height)), 1, AlignedBuffer.Align(_quads.ScratchBytes));
            int most = (int)Math.Clamp((ChunkBytes / Math.Max(1, _copy.LineBytes) - window) / Shape.Strides.Height, 4, Math.Max(4, height));
            int lines = (height + most - 1) / most, widths = 1;
            if (height >= LinesOfLane * lanes) lines = (lines + lanes - 1) / lanes * lanes;
            else widths = Math.Clamp((lanes + lines - 1) / Math.Max(1, lines), 1, Math.Max(1, Shape.Output.Width / 2));
            lines = Math.Clamp(lines, 1, Math.Max(1, height));
            int copied = (((height + lines - 1) / lines - 1) * Shape.Strides.Height) + window + 1;
            return new(lines, widths, _copy.BytesOf(copied) + _copy.ScratchBytes);
        }

        /// <summary>Copies what a chunk reads, then computes it.</summary>
        public void Compute(Split split, byte* image, byte* output, int lineChunk, int widthChunk, byte* scratch)
        {
            int line = ConvolutionGrid.At(Shape.Output.Height, lineChunk, split.LineChunks), lines = ConvolutionGrid.At(Shape.Output.Height, lineChunk + 1, split.LineChunks) - line;
            int x = ConvolutionGrid.At(Shape.Output.Width, widthChunk, split.WidthChunks), width = ConvolutionGrid.At(Shape.Output.Width, widthChunk + 1, split.WidthChunks) - x;
            byte* to = output + ((((long)line * Shape.Output.Width) + x) * Shape.Channels);
            if (_quads is not null)
            {
                _quads.Compute(image, line, lines, to, scratch);
                return;
            }
            int first = line * Shape.Strides.Height, copied = ((lines - 1) * Shape.Strides.Height) + ((Shape.Window.Height - 1) * Shape.Dilations.Height) + 1;
            int pixel = x * Shape.Strides.Width, pixelEnd = pixel + ((width - 1) * Shape.Strides.Width) + ((Shape.Window.Width - 1) * Shape.Dilations.Width) + 1;
            for (int i = 0; i < copied; i++)
                _copy.CopyLine(image, first + i, scratch + (i * _copy.LineBytes), scratch + _copy.BytesOf(copied), _owner._source.Parameters.ZeroPoint, pixel, pixelEnd);
            short* pixels = (short*)(scratch + (pixel * _copy.PixelBytes));
            switch (_owner._bits)
            {
                case 512:
                    _owner.Lines<DepthLanes512, Vector512<short>, Vector512<short>, Vector512<int>>(this, pixels, lines, width, to);
                    break;
                case 256:
                    _owner.Lines<DepthLanes256, Vector256<short>, Vector256<short>, Vector256<int>>(this, pixels, lines, width, to);
                    break;
                case 128:
                    _owner.Lines<DepthLanesArm, Vector128<short>, Vector128<short>, Vector128<int>>(this, pixels, lines, width, to);
                    break;
                default:
                    _owner.Lines<DepthLanesScalar, short, (short, short), int>(this, pixels, lines, width, to);
                    break;
            }
        }

        /// <summary>Words from one line of windows to the next.</summary>
        public long LineStep => Shape.Strides.Height * _copy.LineBytes / sizeof(short);

        /// <summary>Words from a window's first pixel to each tap; an odd last tap comes twice, the second time with weights of 0.</summary>
        public long* TapOffsets => (long*)_offsets.Pointer;

        private AlignedBuffer Offsets()
        {
            var buffer = new AlignedBuffer(2L * _owner.Pairs * sizeof(long));
            var offsets = (long*)buffer.Pointer;
            for (int t = 0; t < 2 * _owner.Pairs; t++)
            {
                int tap = Math.Min(t, _owner._taps - 1);
                long bytes = (tap / Shape.Window.Width * Shape.Dilations.Height * _copy.LineBytes) + (tap % Shape.Window.Width * Shape.Dilations.Width * _copy.PixelBytes);
                offsets[t] = bytes / sizeof(short);
            }
            return buffer;
        }
    }

    /// <summary>
    /// Lines of output pixels, block of channels by block. Where windows move by one pixel and some pixels fill a vector, a line is taken as
    /// pixels of as many channels, their weights repeated.
    /// </summary>
    private void Lines<TLanes, TWords, TWeights, TSums>(Plan plan, short* pixels, int lines, int pixelsOfLine, byte* to)
        where TLanes : IDepthLanes<TWords, TWeights, TSums> where TWords : unmanaged where TWeights : unmanaged where TSums : unmanaged
    {
        int elements = _channels * _repeat, width = pixelsOfLine / _repeat, rest = pixelsOfLine - (width * _repeat);
        for (int block = 0; block < _blocks; block++)
        {
            var constants = (int*)_constants.Pointer + (block * 2 * BlockConstants);
            int channel = block * _blockChannels;
            var t = new DepthBlock
            {
                Offsets = plan.TapOffsets,
                Taps = _taps,
                Weights = (short*)_weights.Pointer + (block * BlockWeights),
                Stage = new() { Offsets = constants, Scales = (float*)(constants + BlockConstants), Low = _low, High = _high, ZeroPoint = _outputZeroPoint },
                Lines = lines,
                Width = width,
                Step = (long)plan.Shape.Strides.Width * elements,
                LineStep = plan.LineStep,
                CodeStep = elements,
                LineCodes = (long)plan.Shape.Output.Width * _channels,
                Channels = Math.Min(_blockChannels, elements - channel),
            };
            if (width > 0) Pixels<TLanes, TWords, TWeights, TSums>(t, pixels + channel, to + channel);
            if (rest == 0) continue;
            t.Width = 1;
            t.Channels = rest * _channels;
            Pixels<TLanes, TWords, TWeights, TSums>(t, pixels + (width * t.Step), to + ((long)width * elements));
        }
    }

    private static void Pixels<TLanes, TWords, TWeights, TSums>(in DepthBlock t, short* pixels, byte* to)
        where TLanes : IDepthLanes<TWords, TWeights, TSums> where TWords : unmanaged where TWeights : unmanaged where TSums : unmanaged
    {
        if (t.Channels == TLanes.Channels) Pixels<WholeBlock, TLanes, TWords, TWeights, TSums>(t, pixels, to);
        else Pixels<PartOfBlock, TLanes, TWords, TWeights, TSums>(t, pixels, to);
    }

    private static void Pixels<TPart, TLanes, TWords, TWeights, TSums>(in DepthBlock t, short* pixels, byte* to)
        where TPart : IBlockPart where TLanes : IDepthLanes<TWords, TWeights, TSums> where TWords : unmanaged where TWeights : unmanaged where TSums : unmanaged
    {
        if (t.Taps == 9) DepthLoops.Nine<TPart, TLanes, TWords, TWeights, TSums>(t, pixels, to);
        else DepthLoops.Any<TPart, TLanes, TWords, TWeights, TSums>(t, pixels, to);
    }
}
