using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>MaxPool of float32, channels last: x [N, ..., C], behind a convolution whose result stays float. Attributes: those of MaxPool.</summary>
internal sealed class FloatMaxPool : Operator
{
    public override string OpType => nameof(FloatMaxPool);

    public override string Domain => OperatorSet.EngineDomain;

    public override ValueFact[] Infer(OpContext context)
    {
        if (context.Input(0, ElementType.Float).Shape is not { } shape) return [new(ElementType.Float, null)];
        if (shape.Rank < 3) throw context.Malformed($"its input has shape {shape}, expected [N, ..., C]");
        return [new(ElementType.Float, ChannelsLast.ToLast(PoolShape.Infer(context, ChannelsLast.ToFirst(shape)!)))];
    }

    public override Step Prepare(PrepareContext context) => new PoolStep(context);

    private sealed class PoolStep(PrepareContext node) : Step
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) =>
            new(0, PoolShape.Resolve(node, ChannelsLast.ToFirst(inputs[0]!.Dims)));

        public override unsafe void Run(in StepContext context)
        {
            var shape = (PoolShape)context.State!;
            int images = context.Inputs[0].Dims[0], channels = context.Inputs[0].Dims[^1], lines = shape.Output.Depth * shape.Output.Height;
            fixed (float* x = context.Input<float>(0), y = context.Output<float>(0))
            {
                var body = new Body(shape, channels, lines, x, y);
                WorkerPool.Run(ref body, images * lines, WorkerPool.LanesFor((double)images * shape.Output.Count * shape.Window.Count * channels * ValueTime, context.MaxThreads));
            }
        }
    }

    /// <summary>Nanoseconds of a value of a window.</summary>
    private const double ValueTime = 0.1;

    /// <summary>A chunk is one line of the output.</summary>
    private readonly unsafe struct Body(PoolShape s, int channels, int lines, float* x, float* y) : IParallelBody
    {
        public void Run(int chunk, int lane)
        {
            var (image, line) = Math.DivRem(chunk, lines);
            var (od, oh) = Math.DivRem(line, s.Output.Height);
            float* from = x + ((long)image * s.Input.Count * channels), to = y + ((long)chunk * s.Output.Width * channels);
            var depth = PoolShape.Inside(od, s.Strides.Depth, s.Window.Depth, s.Dilations.Depth, s.Before.Depth, s.Input.Depth);
            var height = PoolShape.Inside(oh, s.Strides.Height, s.Window.Height, s.Dilations.Height, s.Before.Height, s.Input.Height);
            long row = (long)s.Input.Width * channels, plane = s.Input.Height * row;
            float* first = from + (depth.First * plane) + (height.First * row);
            for (int ow = 0; ow < s.Output.Width; ow++, to += channels)
            {
                var width = PoolShape.Inside(ow, s.Strides.Width, s.Window.Width, s.Dilations.Width, s.Before.Width, s.Input.Width);
                var taps = new WindowTaps(depth.Count, height.Count, width.Count, s.Dilations.Depth * plane, s.Dilations.Height * row, (long)s.Dilations.Width * channels);
                PixelMaximum.Run(first + ((long)width.First * channels), taps, channels, to);
            }
        }
    }
}
