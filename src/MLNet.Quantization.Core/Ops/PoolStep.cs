using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>How the elements of a window become one, in row-major order.</summary>
internal interface IPool<T> where T : unmanaged
{
    /// <summary>What the first element is added to.</summary>
    T Start { get; }

    T Add(T sum, T element);

    /// <param name="sum">Of the elements.</param>
    /// <param name="inside">How many of them there were.</param>
    /// <param name="window">How many the window has, those in the padding among them.</param>
    T Finish(T sum, int inside, int window);
}

/// <summary>Pools each plane of [N, C, ...] by itself; a window's elements one after the other.</summary>
internal sealed class PoolStep<T, TPool>(OpContext node, TPool pool) : Step where T : unmanaged where TPool : struct, IPool<T>
{
    public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) => new(0, PoolShape.Resolve(node, inputs[0]!.Dims));

    public override unsafe void Run(in StepContext context)
    {
        var shape = (PoolShape)context.State!;
        fixed (T* x = context.Input<T>(0), y = context.Output<T>(0))
        {
            var body = new Body(shape, pool, x, y);
            bool alone = (double)shape.Planes * shape.Output.Count * shape.Window.Count < 1e5;
            WorkerPool.Run(ref body, shape.Planes, alone ? 1 : context.MaxThreads);
        }
    }

    private readonly unsafe struct Body(PoolShape s, TPool pool, T* x, T* y) : IParallelBody
    {
        public void Run(int plane, int lane)
        {
            T* from = x + ((long)plane * s.Input.Count), to = y + ((long)plane * s.Output.Count);
            for (int od = 0; od < s.Output.Depth; od++)
            {
                var depth = PoolShape.Inside(od, s.Strides.Depth, s.Window.Depth, s.Dilations.Depth, s.Before.Depth, s.Input.Depth);
                for (int oh = 0; oh < s.Output.Height; oh++, to += s.Output.Width)
                    Line(from, depth, PoolShape.Inside(oh, s.Strides.Height, s.Window.Height, s.Dilations.Height, s.Before.Height, s.Input.Height), to);
            }
        }

        /// <summary>The windows of one line of the output.</summary>
        private void Line(T* plane, (int First, int Count) depth, (int First, int Count) height, T* to)
        {
            int step = s.Dilations.Width, lineStep = s.Dilations.Height * s.Input.Width, reach = (s.Window.Width - 1) * step;
            for (int ow = 0; ow < s.Output.Width; ow++)
            {
                int first = (ow * s.Strides.Width) - s.Before.Width, count = s.Window.Width;
                if (first < 0 || first + reach >= s.Input.Width) (first, count) = PoolShape.Inside(ow, s.Strides.Width, s.Window.Width, step, s.Before.Width, s.Input.Width);
                T sum = pool.Start;
                for (int d = 0; d < depth.Count; d++)
                {
                    T* line = plane + (((((long)(depth.First + (d * s.Dilations.Depth)) * s.Input.Height) + height.First) * s.Input.Width) + first);
                    for (int h = 0; h < height.Count; h++, line += lineStep)
                        for (int w = 0; w < count; w++) sum = pool.Add(sum, line[w * step]);
                }
                to[ow] = pool.Finish(sum, depth.Count * height.Count * count, s.Window.Count);
            }
        }
    }
}
