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

        /// <param name="Shape">With planes of one image.</param>
        /// <param name="Images">N.</param>
        /// <param name="Channels">C.</param>
        /// <param name="LaneBytes">Sums of one pixel.</param>
        private sealed record State(PoolShape Shape, int Images, int Channels, long LaneBytes);

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            int[] dims = inputs[0]!.Dims, first = ChannelsLast.ToFirst(dims);
            var shape = IsGlobal(_node)
                ? new(1, Extents.Of(dims[1..^1]), Extents.Of(dims[1..^1]), Extents.One, Extents.One, default, Extents.One)
                : PoolShape.Resolve(_node, first);
            long lane = ((dims[^1] * sizeof(int)) + 63) / 64 * 64;
            return new(lane * WorkerPool.LaneCount, new State(shape, dims[0], dims[^1], lane));
        }

        public override unsafe void Run(in StepContext context)
        {
            var state = (State)context.State!;
            int lines = state.Images * state.Shape.Output.Depth * state.Shape.Output.Height;
            fixed (byte* x = context.Input<byte>(0), y = context.Output<byte>(0), work = context.Workspace)
            {
                var body = new Body(this, state, x, y, work);
                bool alone = (double)lines * state.Shape.Output.Width * state.Shape.Window.Count * state.Channels < 1e6;
                WorkerPool.Run(ref body, lines, alone ? 1 : context.MaxThreads);
            }
        }

        /// <summary>A chunk is a line of output pixels.</summary>
        private readonly unsafe struct Body(PoolStep step, State state, byte* x, byte* y, byte* work) : IParallelBody
        {
            public void Run(int chunk, int lane)
            {
                var s = state.Shape;
                int line = chunk % (s.Output.Depth * s.Output.Height), size = step._isMaximum || step._output != ElementType.Float ? 1 : 4;
                byte* image = x + ((long)(chunk / (s.Output.Depth * s.Output.Height)) * s.Input.Count * state.Channels);
                byte* to = y + ((long)chunk * s.Output.Width * state.Channels * size);
                for (int ow = 0; ow < s.Output.Width; ow++, to += state.Channels * size)
                    Pixel(image, line / s.Output.Height, line % s.Output.Height, ow, to, (int*)(work + (lane * state.LaneBytes)));
            }

            private void Pixel(byte* image, int od, int oh, int ow, byte* to, int* sums)
            {
                var s = state.Shape;
                var (d0, ds) = PoolShape.Inside(od, s.Strides.Depth, s.Window.Depth, s.Dilations.Depth, s.Before.Depth, s.Input.Depth);
                var (h0, hs) = PoolShape.Inside(oh, s.Strides.Height, s.Window.Height, s.Dilations.Height, s.Before.Height, s.Input.Height);
                var (w0, ws) = PoolShape.Inside(ow, s.Strides.Width, s.Window.Width, s.Dilations.Width, s.Before.Width, s.Input.Width);
                int channels = state.Channels;
                if (step._isMaximum) new Span<byte>(to, channels).Fill(step._isSigned ? (byte)0x80 : (byte)0);
                else new Span<int>(sums, channels).Clear();
                for (int d = 0; d < ds; d++)
                    for (int h = 0; h < hs; h++)
                        for (int w = 0; w < ws; w++)
                        {
                            long pixel = ((((long)(d0 + (d * s.Dilations.Depth)) * s.Input.Height) + h0 + (h * s.Dilations.Height)) * s.Input.Width) + w0 + (w * s.Dilations.Width);
                            if (step._isMaximum) CodePool.Max(image + (pixel * channels), to, channels, step._isSigned);
                            else CodePool.Add(image + (pixel * channels), sums, channels, step._isSigned ? (byte)0x80 : (byte)0);
                        }
                if (!step._isMaximum) step.Finish(sums, ds * hs * ws, s.Window.Count, to, channels);
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
