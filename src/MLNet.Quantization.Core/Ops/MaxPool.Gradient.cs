using System.Numerics;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

internal sealed partial class MaxPool : IDifferentiable
{
    /// <summary>Elements for which waking another thread pays.</summary>
    private const int ThreadElements = 1 << 16;

    private const int MaxChunks = 64, Taps = 0;

    public bool Overwrites => true;

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => Run(node, isForward: true);

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.InputGradient(0) is not null) Run(node, isForward: false);
    }

    private static void Run<T>(TapeNode<T> node, bool isForward) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.Output().Count == 0)
        {
            if (node.IsFresh && !isForward) Array.Clear(node.InputGradient(0)!.Data);
            return;
        }
        var pool = (MaxPoolPlanes<T>)(node.State ??= new MaxPoolPlanes<T>(PoolShape.Resolve(node.Context, node.Input(0).Dims), MaxChunks));
        // Scratch memory is taken here: threads must not.
        node.Scratch(Taps, node.Output().Count);
        int planes = node.Output().Count / pool.Pixels, chunks = Math.Min(planes, MaxChunks);
        var body = new Body<T>(pool, node, planes, chunks, isForward);
        WorkerPool.Run(ref body, chunks, node.Input(0).Count < ThreadElements ? 1 : node.MaxThreads);
    }

    private readonly struct Body<T>(MaxPoolPlanes<T> pool, TapeNode<T> node, int planes, int chunks, bool isForward) : IParallelBody where T : unmanaged, IFloatingPointIeee754<T>
    {
        public void Run(int chunk, int lane)
        {
            int first = (int)((long)planes * chunk / chunks), end = (int)((long)planes * (chunk + 1) / chunks);
            int pixels = pool.Pixels, plane = pool.Plane;
            var taps = node.Scratch(Taps, node.Output().Count);
            for (int i = first; i < end; i++)
            {
                Range outputs = (i * pixels)..((i + 1) * pixels);
                if (isForward) pool.Forward(chunk, node.Input(0).Data.AsSpan(i * plane, plane), node.Output().Data.AsSpan(outputs), taps[outputs]);
                else pool.Backward(chunk, node.OutputGradient().Data.AsSpan(outputs), taps[outputs], node.InputGradient(0)!.Data.AsSpan(i * plane, plane), node.IsFresh);
            }
        }
    }
}
