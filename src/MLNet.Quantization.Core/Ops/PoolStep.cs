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
                for (int oh = 0; oh < s.Output.Height; oh++)
                    for (int ow = 0; ow < s.Output.Width; ow++) *to++ = One(from, od, oh, ow);
        }

        private T One(T* plane, int od, int oh, int ow)
        {
            var (d0, ds) = PoolShape.Inside(od, s.Strides.Depth, s.Window.Depth, s.Dilations.Depth, s.Before.Depth, s.Input.Depth);
            var (h0, hs) = PoolShape.Inside(oh, s.Strides.Height, s.Window.Height, s.Dilations.Height, s.Before.Height, s.Input.Height);
            var (w0, ws) = PoolShape.Inside(ow, s.Strides.Width, s.Window.Width, s.Dilations.Width, s.Before.Width, s.Input.Width);
            T sum = pool.Start;
            for (int d = 0; d < ds; d++)
                for (int h = 0; h < hs; h++)
                {
                    T* line = plane + (((((long)(d0 + (d * s.Dilations.Depth)) * s.Input.Height) + h0 + (h * s.Dilations.Height)) * s.Input.Width) + w0);
                    for (int w = 0; w < ws; w++) sum = pool.Add(sum, line[w * s.Dilations.Width]);
                }
            return pool.Finish(sum, ds * hs * ws, s.Window.Count);
        }
    }
}
