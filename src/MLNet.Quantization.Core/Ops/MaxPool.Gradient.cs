using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

// The gradient of a window goes to its first greatest element.
internal sealed partial class MaxPool : IDifferentiable
{
    /// <summary>Elements for which waking another thread pays.</summary>
    private const int ThreadElements = 1 << 16;

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
            if (node is { IsFresh: true } && !isForward) Array.Clear(node.InputGradient(0)!.Data);
            return;
        }
        var form = (Form<T>)(node.State ??= new Form<T>(node));
        var body = new Body<T>(form, node, isForward);
        WorkerPool.Run(ref body, form.Chunks, node.Input(0).Count < ThreadElements ? 1 : node.MaxThreads);
    }

    /// <summary>What follows from the shapes, and which tap each output came from.</summary>
    private sealed class Form<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        public Form(TapeNode<T> node)
        {
            var shape = PoolShape.Resolve(node.Context, node.Input(0).Dims);
            Runs = WindowRuns.Of(shape);
            Pixels = Runs.Pixel();
            Taps = new T[node.Output().Count];
            Planes = node.Output().Count / Runs.Pixels;
            Chunks = Math.Min(Planes, 64);
            Columns = new T[Chunks][];
            if (typeof(T) == typeof(float) && PairPool.Fits(shape)) Pairs = [.. Enumerable.Range(0, Chunks).Select(_ => new PairPool(shape.Input.Height, shape.Input.Width))];
        }

        public WindowRuns Runs { get; }

        /// <summary>For each tap and output pixel the pixel of the plane, or -1.</summary>
        public int[] Pixels { get; }

        /// <summary>For each output the number of its tap.</summary>
        public T[] Taps { get; }

        public int Planes { get; }

        public int Chunks { get; }

        /// <summary>Of each chunk, [taps, output pixels]: below everything where a window reaches over the edge.</summary>
        public T[][] Columns { get; }

        /// <summary>One for each chunk, where the pool is of that kind; else empty.</summary>
        public PairPool[] Pairs { get; } = [];
    }

    private readonly struct Body<T>(Form<T> form, TapeNode<T> node, bool isForward) : IParallelBody where T : unmanaged, IFloatingPointIeee754<T>
    {
        public void Run(int chunk, int lane)
        {
            int first = (int)((long)form.Planes * chunk / form.Chunks), end = (int)((long)form.Planes * (chunk + 1) / form.Chunks);
            int pixels = form.Runs.Pixels, plane = form.Runs.Plane;
            for (int i = first; i < end; i++)
            {
                var taps = form.Taps.AsSpan(i * pixels, pixels);
                if (isForward) Forward(chunk, node.Input(0).Data.AsSpan(i * plane, plane), node.Output().Data.AsSpan(i * pixels, pixels), taps);
                else Backward(chunk, node.OutputGradient().Data.AsSpan(i * pixels, pixels), taps, node.InputGradient(0)!.Data.AsSpan(i * plane, plane));
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Forward(int chunk, ReadOnlySpan<T> x, Span<T> y, Span<T> taps)
        {
            if (form.Pairs.Length > 0)
            {
                form.Pairs[chunk].Forward(MemoryMarshal.Cast<T, float>(x), MemoryMarshal.Cast<T, float>(y), MemoryMarshal.Cast<T, float>(taps));
                return;
            }
            int count = y.Length;
            if (form.Columns[chunk] is null) Array.Fill(form.Columns[chunk] = new T[form.Runs.Taps * count], T.NegativeInfinity);
            var columns = form.Columns[chunk].AsSpan();
            form.Runs.Unfold(x, columns);
            int j = 0;
            for (; j <= count - Vector<T>.Count; j += Vector<T>.Count)
            {
                Vector<T> best = new(columns[j..]), tap = Vector<T>.Zero;
                for (int t = 1; t < form.Runs.Taps; t++)
                {
                    var other = new Vector<T>(columns[((t * count) + j)..]);
                    var isGreater = Vector.GreaterThan(other, best);
                    best = Vector.ConditionalSelect(isGreater, other, best);
                    tap = Vector.ConditionalSelect(isGreater, new Vector<T>(T.CreateTruncating(t)), tap);
                }
                best.CopyTo(y[j..]);
                tap.CopyTo(taps[j..]);
            }
            for (; j < count; j++)
            {
                (y[j], taps[j]) = (columns[j], T.Zero);
                for (int t = 1; t < form.Runs.Taps; t++)
                    if (columns[(t * count) + j] > y[j]) (y[j], taps[j]) = (columns[(t * count) + j], T.CreateTruncating(t));
            }
        }

        private void Backward(int chunk, ReadOnlySpan<T> g, ReadOnlySpan<T> taps, Span<T> gradient)
        {
            if (node.IsFresh && form.Pairs.Length > 0)
            {
                form.Pairs[chunk].Backward(MemoryMarshal.Cast<T, float>(g), MemoryMarshal.Cast<T, float>(taps), MemoryMarshal.Cast<T, float>(gradient));
                return;
            }
            if (node.IsFresh) gradient.Clear();
            for (int j = 0; j < g.Length; j++)
            {
                int pixel = form.Pixels[(int.CreateTruncating(taps[j]) * g.Length) + j];
                if (pixel >= 0) gradient[pixel] += g[j];
            }
        }
    }
}
