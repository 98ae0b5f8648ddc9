using System.Numerics;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// The greatest element of each window of [N, C, ...] and, Int64, its place in the whole tensor: the first of equal ones in row-major order.
/// Places count row by row, or, with <c>storage_order</c> 1, within each plane with the first spatial axis fastest. NaN does not count: a window
/// of nothing else gives the least number and its first element, one of the padding alone the least number and -1.
/// </summary>
/// <param name="node">A MaxPool.</param>
/// <param name="least">The least number.</param>
internal sealed class IndexedMaxPoolStep<T>(OpContext node, T least) : Step where T : unmanaged, INumber<T>
{
    private readonly bool _firstAxisFastest = node.Attribute("storage_order", 0L) == 1;

    public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) => new(0, PoolShape.Resolve(node, inputs[0]!.Dims));

    public override unsafe void Run(in StepContext context)
    {
        var shape = (PoolShape)context.State!;
        fixed (T* x = context.Input<T>(0), y = context.Outputs[0].IsPresent ? context.Output<T>(0) : default)
        fixed (long* indices = context.Output<long>(1))
        {
            var body = new Body(shape, least, StepsOf(shape), x, y, indices);
            bool alone = (double)shape.Planes * shape.Output.Count * shape.Window.Count < 1e5;
            WorkerPool.Run(ref body, shape.Planes, alone ? 1 : context.MaxThreads);
        }
    }

    /// <summary>By how much the place grows along each spatial axis. An axis that the tensor lacks has one element.</summary>
    private (int Depth, int Height, int Width) StepsOf(PoolShape shape)
    {
        var (depth, height, width) = shape.Input;
        return _firstAxisFastest ? (1, depth, depth * height) : (height * width, width, 1);
    }

    private readonly unsafe struct Body(PoolShape s, T least, (int Depth, int Height, int Width) steps, T* x, T* y, long* indices) : IParallelBody
    {
        public void Run(int plane, int lane)
        {
            T* from = x + ((long)plane * s.Input.Count);
            long to = (long)plane * s.Output.Count;
            for (int od = 0; od < s.Output.Depth; od++)
            {
                var depth = PoolShape.Inside(od, s.Strides.Depth, s.Window.Depth, s.Dilations.Depth, s.Before.Depth, s.Input.Depth);
                for (int oh = 0; oh < s.Output.Height; oh++)
                {
                    var height = PoolShape.Inside(oh, s.Strides.Height, s.Window.Height, s.Dilations.Height, s.Before.Height, s.Input.Height);
                    for (int ow = 0; ow < s.Output.Width; ow++, to++)
                    {
                        var width = PoolShape.Inside(ow, s.Strides.Width, s.Window.Width, s.Dilations.Width, s.Before.Width, s.Input.Width);
                        T greatest = Window(from, depth, height, width, out int place);
                        if (y is not null) y[to] = greatest;
                        indices[to] = place < 0 ? -1 : ((long)plane * s.Input.Count) + place;
                    }
                }
            }
        }

        /// <param name="plane">The input's.</param>
        /// <param name="depth">First element of the axis and how many, like the other two.</param>
        /// <param name="height">Of the middle axis.</param>
        /// <param name="width">Of the last.</param>
        /// <param name="place">Of the greatest within the plane, in the order that is asked for.</param>
        private T Window(T* plane, (int First, int Count) depth, (int First, int Count) height, (int First, int Count) width, out int place)
        {
            T greatest = least;
            place = -1;
            for (int i = 0; i < depth.Count; i++)
                for (int j = 0; j < height.Count; j++)
                    for (int k = 0; k < width.Count; k++)
                    {
                        int d = depth.First + (i * s.Dilations.Depth), h = height.First + (j * s.Dilations.Height), w = width.First + (k * s.Dilations.Width);
                        T element = plane[(((d * s.Input.Height) + h) * s.Input.Width) + w];
                        if (place >= 0 && !(element > greatest)) continue;
                        if (element > greatest) greatest = element;
                        place = (d * steps.Depth) + (h * steps.Height) + (w * steps.Width);
                    }
            return greatest;
        }
    }
}
