using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// The greatest element of each window of float32 planes: first of the lines of a window, element by element over whole lines, then of the
/// elements within that one line. NaN does not count, and a window of the padding alone gives -infinity, as one element after the other does.
/// </summary>
internal sealed class FloatMaxPoolStep(OpContext node) : Step
{
    public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
    {
        var shape = PoolShape.Resolve(node, inputs[0]!.Dims);
        return new((long)LineBytes(shape) * WorkerPool.LaneCount, shape);
    }

    public override unsafe void Run(in StepContext context)
    {
        var shape = (PoolShape)context.State!;
        fixed (float* x = context.Input<float>(0), y = context.Output<float>(0))
        fixed (byte* lines = context.Workspace)
        {
            var body = new Body(shape, x, y, lines);
            bool alone = (double)shape.Planes * shape.Output.Count * shape.Window.Count < 1e5;
            WorkerPool.Run(ref body, shape.Planes, alone ? 1 : context.MaxThreads);
        }
    }

    private static int LineBytes(PoolShape shape) => (int)AlignedBuffer.Align((long)shape.Input.Width * sizeof(float));

    private readonly unsafe struct Body(PoolShape s, float* x, float* y, byte* lines) : IParallelBody
    {
        public void Run(int plane, int lane)
        {
            float* from = x + ((long)plane * s.Input.Count), to = y + ((long)plane * s.Output.Count);
            var line = new Span<float>(lines + ((long)lane * LineBytes(s)), s.Input.Width);
            for (int od = 0; od < s.Output.Depth; od++)
            {
                var depth = PoolShape.Inside(od, s.Strides.Depth, s.Window.Depth, s.Dilations.Depth, s.Before.Depth, s.Input.Depth);
                for (int oh = 0; oh < s.Output.Height; oh++, to += s.Output.Width)
                {
                    Join(from, depth, PoolShape.Inside(oh, s.Strides.Height, s.Window.Height, s.Dilations.Height, s.Before.Height, s.Input.Height), line);
                    Within(line, to);
                }
            }
        }

        /// <summary>The greatest of the lines that the windows of one line of the output cover.</summary>
        private void Join(float* plane, (int First, int Count) depth, (int First, int Count) height, Span<float> line)
        {
            line.Fill(float.NegativeInfinity);
            for (int d = 0; d < depth.Count; d++)
                for (int h = 0; h < height.Count; h++)
                {
                    long at = (((long)(depth.First + (d * s.Dilations.Depth)) * s.Input.Height) + height.First + (h * s.Dilations.Height)) * s.Input.Width;
                    Elementwise.Combine<FloatReductions.MaxFunction>(line, new(plane + at, s.Input.Width), line);
                }
        }

        private void Within(ReadOnlySpan<float> line, float* to)
        {
            int step = s.Dilations.Width, reach = (s.Window.Width - 1) * step;
            for (int ow = 0; ow < s.Output.Width; ow++)
            {
                int first = (ow * s.Strides.Width) - s.Before.Width, count = s.Window.Width;
                if (first < 0 || first + reach >= s.Input.Width) (first, count) = PoolShape.Inside(ow, s.Strides.Width, s.Window.Width, step, s.Before.Width, s.Input.Width);
                float greatest = float.NegativeInfinity;
                for (int w = 0; w < count; w++) greatest = line[first + (w * step)] > greatest ? line[first + (w * step)] : greatest;
                to[ow] = greatest;
            }
        }
    }
}
