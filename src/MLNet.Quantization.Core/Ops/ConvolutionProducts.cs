using System.Numerics;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// The three products of a convolution while training: forward, by the input, by the weights. Images fall into as many parts as there are
/// threads, each with memory of its own; gradients of weights are summed part by part, so that a run gives the same bits at the same number of
/// threads. For one thread at a time.
/// </summary>
internal sealed class ConvolutionProducts<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly ConvolutionShape _shape;
    private readonly WindowRuns _runs;
    private readonly int _maxThreads;
    private readonly Part[] _parts;

    /// <param name="shape">x [N, C, ...], w [F, C / group, ...], y [N, F, ...].</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public ConvolutionProducts(ConvolutionShape shape, int maxThreads)
    {
        _shape = shape;
        _runs = WindowRuns.Of(shape);
        _maxThreads = maxThreads;
        _parts = new Part[Math.Max(1, Math.Min(Parallelism.Resolve(maxThreads), shape.Images))];
        for (int i = 0; i < _parts.Length; i++) _parts[i] = new();
    }

    /// <summary>Elements of one sum.</summary>
    private int K => _shape.GroupChannels * _runs.Taps;

    /// <summary>Outputs of a group.</summary>
    private int Outputs => _shape.GroupOutputs;

    /// <summary>y = w ∗ x, or y += w ∗ x.</summary>
    /// <param name="x">[N, C, ...].</param>
    /// <param name="w">[F, C / group, ...].</param>
    /// <param name="y">[N, F, ...].</param>
    /// <param name="add">Adds to y; else y is overwritten.</param>
    public void Forward(T[] x, T[] w, T[] y, bool add = false)
    {
        if (!add && x.Length == 0) Array.Clear(y);
        Run(add ? Product.AddForward : Product.Forward, x, w, y);
    }

    /// <summary>∂L/∂x, given <paramref name="g"/> = ∂L/∂y.</summary>
    /// <param name="gradient">[N, C, ...].</param>
    /// <param name="w">[F, C / group, ...].</param>
    /// <param name="g">[N, F, ...].</param>
    /// <param name="add">Adds to the gradient; else it is overwritten.</param>
    public void InputGradient(T[] gradient, T[] w, T[] g, bool add = true)
    {
        if (!add && g.Length == 0) Array.Clear(gradient);
        Run(add ? Product.AddInput : Product.Input, gradient, w, g);
    }

    /// <summary>Adds ∂L/∂w, given <paramref name="g"/> = ∂L/∂y.</summary>
    public void AddWeightGradient(T[] x, T[] gradient, T[] g)
    {
        foreach (var part in _parts) part.Clear(gradient.Length);
        Run(Product.Weights, x, gradient, g);
        foreach (var part in _parts) Vectors.Add<T>(part.Weights, gradient);
    }

    /// <summary>Adds a number to each plane.</summary>
    /// <param name="bias">One number a channel.</param>
    /// <param name="y">[N, channels, ...].</param>
    public static void AddBias(T[] bias, Values<T> y)
    {
        int plane = PlaneOf(y);
        for (int i = 0; i * plane < y.Count; i++) Vectors.AddTo(bias[i % bias.Length], y.Data.AsSpan(i * plane, plane));
    }

    /// <summary>Adds ∂L/∂bias.</summary>
    /// <param name="gradient">One number a channel.</param>
    /// <param name="g">∂L/∂y [N, channels, ...].</param>
    public static void AddBiasGradient(T[] gradient, Values<T> g)
    {
        int plane = PlaneOf(g);
        for (int i = 0; i * plane < g.Count; i++) gradient[i % gradient.Length] += Vectors.Sum<T>(g.Data.AsSpan(i * plane, plane));
    }

    private static int PlaneOf(Values<T> values) => values.Count / Math.Max(1, values.Dims[0] * values.Dims[1]);

    private void Run(Product product, T[] x, T[] w, T[] y)
    {
        if (y.Length == 0 || x.Length == 0) return;
        var body = new Body(this, product, x, w, y);
        WorkerPool.Run(ref body, _parts.Length, _maxThreads);
    }

    private readonly struct Body(ConvolutionProducts<T> products, Product product, T[] x, T[] w, T[] y) : IParallelBody
    {
        public void Run(int chunk, int lane)
        {
            var (s, runs, part) = (products._shape, products._runs, products._parts[chunk]);
            int parts = products._parts.Length, first = (int)((long)chunk * s.Images / parts), end = (int)((long)(chunk + 1) * s.Images / parts);
            int ofX = s.GroupChannels * runs.Plane, ofY = products.Outputs * runs.Pixels, ofW = products.Outputs * products.K;
            for (int i = first * s.Groups; i < end * s.Groups; i++)
            {
                int group = i % s.Groups;
                var xs = x.AsSpan(i * ofX, ofX);
                var ys = y.AsSpan(i * ofY, ofY);
                if (product == Product.Weights) products.AddWeightGradient(part, xs, part.Weights.AsSpan(group * ofW, ofW), ys);
                else if (product is Product.Input or Product.AddInput) products.InputGradient(part, xs, w.AsSpan(group * ofW, ofW), ys, product == Product.AddInput);
                else products.Forward(part, xs, w.AsSpan(group * ofW, ofW), ys, product == Product.AddForward);
            }
        }
    }

    private void Forward(Part part, ReadOnlySpan<T> x, ReadOnlySpan<T> w, Span<T> y, bool add)
    {
        var columns = Columns(part, x);
        if (Outputs > 1)
        {
            Products.Multiply(w, false, columns, false, Outputs, K, _runs.Pixels, y, add, part.Memory);
            return;
        }
        if (!add) y.Clear();
        for (int k = 0; k < K; k++) Vectors.AddScaled(columns.Slice(k * _runs.Pixels, _runs.Pixels), w[k], y);
    }

    private void AddWeightGradient(Part part, ReadOnlySpan<T> x, Span<T> gradient, ReadOnlySpan<T> g)
    {
        var columns = Columns(part, x);
        if (Outputs > 1) Products.Multiply(g, false, columns, true, Outputs, _runs.Pixels, K, gradient, add: true, part.Memory);
        else
            for (int k = 0; k < K; k++) gradient[k] += Vectors.Dot(g, columns.Slice(k * _runs.Pixels, _runs.Pixels));
    }

    private void InputGradient(Part part, Span<T> gradient, ReadOnlySpan<T> w, ReadOnlySpan<T> g, bool add)
    {
        int pixels = _runs.Pixels;
        if (_runs.IsWhole && Outputs > 1)
        {
            Products.Multiply(w, true, g, false, K, Outputs, pixels, gradient, add, part.Memory);
            return;
        }
        if (!add) gradient.Clear();
        var back = part.Back(K * pixels);
        if (Outputs > 1) Products.Multiply(w, true, g, false, K, Outputs, pixels, back, add: false, part.Memory);
        else
        {
            back.Clear();
            for (int k = 0; k < K; k++) Vectors.AddScaled(g, w[k], back.Slice(k * pixels, pixels));
        }
        for (int c = 0; c < _shape.GroupChannels; c++) _runs.Fold<T>(back.Slice(c * _runs.Taps * pixels, _runs.Taps * pixels), gradient.Slice(c * _runs.Plane, _runs.Plane));
    }

    /// <summary>The windows of a group of an image, [K, pixels].</summary>
    private ReadOnlySpan<T> Columns(Part part, ReadOnlySpan<T> x)
    {
        if (_runs.IsWhole) return x;
        var columns = part.Columns(K * _runs.Pixels);
        for (int c = 0; c < _shape.GroupChannels; c++) _runs.Unfold(x.Slice(c * _runs.Plane, _runs.Plane), columns[(c * _runs.Taps * _runs.Pixels)..]);
        return columns;
    }

    private enum Product
    {
        Forward,
        AddForward,
        Input,
        AddInput,
        Weights,
    }

    /// <summary>Memory of one part, taken when it is first used.</summary>
    private sealed class Part
    {
        private T[] _columns = [], _back = [];

        public TapeMemory Memory { get; } = new(1);

        /// <summary>Sums of this part's images.</summary>
        public T[] Weights { get; private set; } = [];

        /// <summary>Zero where windows reach over the edge.</summary>
        public Span<T> Columns(int count) => (_columns.Length == count ? _columns : _columns = new T[count]).AsSpan();

        public Span<T> Back(int count) => (_back.Length == count ? _back : _back = new T[count]).AsSpan();

        public void Clear(int weights)
        {
            if (Weights.Length != weights) Weights = new T[weights];
            else Array.Clear(Weights);
        }
    }
}
