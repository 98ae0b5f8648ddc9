using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>
/// Pools codes, channels last: x [N, ..., C] u8 or s8. With maximum: codes of the same parameters. Else the mean of each window, int32
/// sums, as codes where it has output_scale, else as float32. Attributes: those of MaxPool or AveragePool; global for a window over the
/// whole image; input_scale and what else <see cref="CodeStage"/> has.
/// </summary>
internal sealed class QuantizedPool : Operator
{
    public override string OpType => nameof(QuantizedPool);

    public override string Domain => OperatorSet.EngineDomain;

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, ElementType.UInt8, ElementType.Int8);
        var type = IsMaximum(context) ? x.Type : CodeStage.OutputType(context);
        if (x.Shape is not { } shape) return [new(type, null)];
        if (shape.Rank < 3) throw context.Malformed($"its input has shape {shape}, expected [N, ..., C]");
        if (IsGlobal(context)) return [new(type, new([shape[0], .. Enumerable.Repeat((Dimension)1, shape.Rank - 2), shape[shape.Rank - 1]]))];
        return [new(type, ChannelsLast.ToLast(PoolShape.Infer(context, ChannelsLast.ToFirst(shape)!)))];
    }

    public override Step Prepare(PrepareContext context) => new PoolStep(context);

    private static bool IsMaximum(OpContext context) => context.Attribute("maximum", 0L) != 0;

    private static bool IsGlobal(OpContext context) => context.Attribute("global", 0L) != 0;

    private sealed class PoolStep : Step
    {
        private readonly PrepareContext _node;
        private readonly bool _isMaximum, _isSigned, _countsPads;
        private readonly Numerics.AffineParameters _input;
        private readonly ElementType _output;
        private readonly float _outputScale, _low, _high;
        private readonly int _zeroPoint;

        public PoolStep(PrepareContext node)
        {
            _node = node;
            _isMaximum = IsMaximum(node);
            _isSigned = node.Input(0).Type == ElementType.Int8;
            _countsPads = node.Attribute("count_include_pad", 0L) != 0;
            _input = CodeStage.InputOf(node);
            _output = CodeStage.OutputType(node);
            _outputScale = node.Attribute("output_scale", 1f);
            _zeroPoint = (int)node.Attribute("output_zero_point", 0L);
            (_low, _high) = (node.Attribute("clamp_min", 0L) - _zeroPoint, node.Attribute("clamp_max", 255L) - _zeroPoint);
        }

        /// <summary>Nanoseconds of a code of a window.</summary>
        private const double CodeTime = 0.03;

        private int OutputBytes => _isMaximum || _output != ElementType.Float ? 1 : 4;

        /// <param name="Shape">With planes of one image.</param>
        /// <param name="Images">N.</param>
        /// <param name="Channels">C.</param>
        /// <param name="LaneBytes">Sums of one pixel, or maxima of one line.</param>
        private sealed record State(PoolShape Shape, int Images, int Channels, long LaneBytes);

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            int[] dims = inputs[0]!.Dims, first = ChannelsLast.ToFirst(dims);
            var shape = IsGlobal(_node)
                ? new(1, Extents.Of(dims[1..^1]), Extents.Of(dims[1..^1]), Extents.One, Extents.One, default, Extents.One)
                : PoolShape.Resolve(_node, first);
            long lane = AlignedBuffer.Align(_isMaximum ? (long)dims[^2] * dims[^1] : dims[^1] * sizeof(int));
            return new(lane * WorkerPool.LaneCount, new State(shape, dims[0], dims[^1], lane));
        }

        public override unsafe void Run(in StepContext context)
        {
            var state = (State)context.State!;
            int lines = state.Images * state.Shape.Output.Depth * state.Shape.Output.Height;
            fixed (byte* x = context.Input<byte>(0), y = context.Output<byte>(0), work = context.Workspace)
            {
                var body = new Body(this, state, x, y, work);
                WorkerPool.Run(ref body, lines, WorkerPool.LanesFor((double)lines * state.Shape.Output.Width * state.Shape.Window.Count * state.Channels * CodeTime, context.MaxThreads));
            }
        }

        /// <summary>A chunk is a line of output pixels.</summary>
        private readonly unsafe struct Body(PoolStep step, State state, byte* x, byte* y, byte* work) : IParallelBody
        {
            public void Run(int chunk, int lane)
            {
                var s = state.Shape;
                int line = chunk % (s.Output.Depth * s.Output.Height), image = chunk / (s.Output.Depth * s.Output.Height), size = step.OutputBytes;
                var depth = PoolShape.Inside(line / s.Output.Height, s.Strides.Depth, s.Window.Depth, s.Dilations.Depth, s.Before.Depth, s.Input.Depth);
                var height = PoolShape.Inside(line % s.Output.Height, s.Strides.Height, s.Window.Height, s.Dilations.Height, s.Before.Height, s.Input.Height);
                byte* first = x + (((((long)image * s.Input.Depth) + depth.First) * s.Input.Height) + height.First) * LineBytes, to = y + ((long)chunk * s.Output.Width * state.Channels * size);
                byte* scratch = work + (lane * state.LaneBytes);
                if (step._isMaximum) Maximum(first, depth.Count, height.Count, to, scratch);
                else Mean(first, depth.Count, height.Count, to, (int*)scratch);
            }

            private long LineBytes => (long)state.Shape.Input.Width * state.Channels;

            /// <summary>First over the lines of the window, whole lines at once, then over its pixels.</summary>
            private void Maximum(byte* first, int depth, int height, byte* to, byte* scratch)
            {
                var s = state.Shape;
                byte* line = first;
                if (depth * height != 1)
                {
                    line = scratch;
                    if (depth * height == 0) new Span<byte>(line, (int)LineBytes).Fill(step._isSigned ? (byte)0x80 : (byte)0);
                    for (int d = 0; d < depth; d++)
                    {
                        byte* plane = first + (d * s.Dilations.Depth * s.Input.Height * LineBytes);
                        if (d == 0) CodePool.MaxOf(plane, s.Dilations.Height * LineBytes, height, line, (int)LineBytes, step._isSigned);
                        else
                            for (int h = 0; h < height; h++) CodePool.Max(plane + (h * s.Dilations.Height * LineBytes), line, (int)LineBytes, step._isSigned);
                    }
                }
                // Whole windows lie together, in the middle of the line.
                int reach = (s.Window.Width - 1) * s.Dilations.Width, last = s.Input.Width - 1 - reach + s.Before.Width;
                int whole = Math.Clamp((Math.Max(0, s.Before.Width) + s.Strides.Width - 1) / s.Strides.Width, 0, s.Output.Width);
                int wholeEnd = last < 0 ? whole : Math.Clamp((last / s.Strides.Width) + 1, whole, s.Output.Width);
                long tap = (long)s.Dilations.Width * state.Channels;
                for (int ow = 0; ow < whole; ow++) MaximumOf(line, ow, to + ((long)ow * state.Channels));
                CodePool.MaxOfEach(
                    line + ((((long)whole * s.Strides.Width) - s.Before.Width) * state.Channels), (long)s.Strides.Width * state.Channels, wholeEnd - whole, tap, s.Window.Width,
                    to + ((long)whole * state.Channels), state.Channels, step._isSigned);
                for (int ow = wholeEnd; ow < s.Output.Width; ow++) MaximumOf(line, ow, to + ((long)ow * state.Channels));
            }

            /// <summary>Over the pixels of one window, as far as they lie within the line.</summary>
            private void MaximumOf(byte* line, int ow, byte* to)
            {
                var s = state.Shape;
                var (w0, ws) = PoolShape.Inside(ow, s.Strides.Width, s.Window.Width, s.Dilations.Width, s.Before.Width, s.Input.Width);
                if (ws == 0) new Span<byte>(to, state.Channels).Fill(step._isSigned ? (byte)0x80 : (byte)0);
                else CodePool.MaxOf(line + ((long)w0 * state.Channels), (long)s.Dilations.Width * state.Channels, ws, to, state.Channels, step._isSigned);
            }

            private void Mean(byte* first, int depth, int height, byte* to, int* sums)
            {
                var s = state.Shape;
                for (int ow = 0; ow < s.Output.Width; ow++, to += state.Channels * step.OutputBytes)
                {
                    var (w0, ws) = PoolShape.Inside(ow, s.Strides.Width, s.Window.Width, s.Dilations.Width, s.Before.Width, s.Input.Width);
                    new Span<int>(sums, state.Channels).Clear();
                    for (int d = 0; d < depth; d++)
                        CodePool.Add(
                            first + (d * s.Dilations.Depth * s.Input.Height * LineBytes) + ((long)w0 * state.Channels), s.Dilations.Height * LineBytes, height,
                            (long)s.Dilations.Width * state.Channels, ws, sums, state.Channels, step._isSigned ? (byte)0x80 : (byte)0);
                    step.Finish(sums, depth * height * ws, s.Window.Count, to, state.Channels);
                }
            }
        }

        private unsafe void Finish(int* sums, int inside, int window, byte* to, int channels)
        {
            int offset = inside * _input.ZeroPoint, count = _countsPads ? window : inside;
            if (_output == ElementType.Float) CodePool.Scale(sums, offset, _input.Scale / count, (float*)to, channels);
            else CodePool.Requantize(sums, offset, _input.Scale / _outputScale / count, _zeroPoint, _low, _high, to, channels);
        }
    }
}
