using System.Numerics;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// The three products of a convolution while training: forward, by the input, by the weights. Images fall into as many parts as there are
/// threads, each with memory of its own; gradients of weights are summed part by part, so that a run gives the same bits at the same number of
/// threads.
/// </summary>
internal sealed class ConvolutionProducts<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly TapeNode<T> _node;
    private readonly ConvolutionShape _shape;
    private readonly WindowRuns _runs;
    private readonly Part[] _parts;

    private ConvolutionProducts(TapeNode<T> node)
    {
        _node = node;
        _shape = ConvolutionShapes.Resolve(node.Context, node.Input(0).Dims, node.Input(1).Dims);
        _runs = WindowRuns.Of(_shape);
        int parts = Math.Max(1, Math.Min(Parallelism.Resolve(node.MaxThreads), node.Input(0).Dims[0]));
        _parts = [.. Enumerable.Range(0, parts).Select(_ => new Part(_runs.IsWhole ? 0 : K * _runs.Pixels, node.Input(1).Count))];
    }

    /// <summary>Elements of one sum.</summary>
    private int K => _shape.GroupChannels * _runs.Taps;

    private int Images => _node.Input(0).Dims[0];

    private int Groups => _node.Input(0).Dims[1] / Math.Max(1, _shape.GroupChannels);

    /// <summary>Outputs of a group.</summary>
    private int Outputs => _node.Input(1).Dims[0] / Math.Max(1, Groups);

    public static ConvolutionProducts<T> Of(TapeNode<T> node) => (ConvolutionProducts<T>)(node.State ??= new ConvolutionProducts<T>(node));

    public void Forward() => Run(Direction.Forward);

    /// <summary>Adds to the gradients that are wanted.</summary>
    public void Backward()
    {
        bool weights = _node.InputGradient(1) is not null;
        if (weights)
            foreach (var part in _parts) Array.Clear(part.Weights);
        Run(Direction.Backward);
        if (weights)
            foreach (var part in _parts) Vectors.Add<T>(part.Weights, _node.InputGradient(1)!.Data);
        if (_node.InputGradient(2) is not { } bias) return;
        for (int plane = 0; plane < Images * bias.Count; plane++) bias.Data[plane % bias.Count] += Vectors.Sum<T>(_node.OutputGradient().Data.AsSpan(plane * _runs.Pixels, _runs.Pixels));
    }

    private void Run(Direction direction)
    {
        var body = new Body(this, direction);
        if (_node.Output().Count > 0) WorkerPool.Run(ref body, _parts.Length, _node.MaxThreads);
    }

    private void RunPart(int index, Direction direction)
    {
        var part = _parts[index];
        for (int image = index * Images / _parts.Length; image < (index + 1) * Images / _parts.Length; image++)
            for (int group = 0; group < Groups; group++)
            {
                if (direction == Direction.Forward) Forward(part, image, group);
                else Backward(part, image, group);
            }
    }

    /// <summary>Elements of x, w and y that belong together.</summary>
    private (Range X, Range W, Range Y) Ranges(int image, int group)
    {
        int x = ((image * Groups) + group) * _shape.GroupChannels * _runs.Plane, w = group * Outputs * K, y = ((image * Groups) + group) * Outputs * _runs.Pixels;
        return (x..(x + (_shape.GroupChannels * _runs.Plane)), w..(w + (Outputs * K)), y..(y + (Outputs * _runs.Pixels)));
    }

    private void Forward(Part part, int image, int group)
    {
        var (xs, ws, ys) = Ranges(image, group);
        ReadOnlySpan<T> columns = Columns(part, _node.Input(0).Data.AsSpan(xs)), w = _node.Input(1).Data.AsSpan(ws);
        var y = _node.Output().Data.AsSpan(ys);
        if (Outputs > 1) Products.Multiply(w, false, columns, false, Outputs, K, _runs.Pixels, y, add: false, part.Memory);
        else
        {
            y.Clear();
            for (int k = 0; k < K; k++) Vectors.AddScaled(columns.Slice(k * _runs.Pixels, _runs.Pixels), w[k], y);
        }
        if (!_node.Has(2)) return;
        for (int f = 0; f < Outputs; f++)
        {
            T bias = _node.Input(2).Data[(group * Outputs) + f];
            Vectors.AddTo(bias, y.Slice(f * _runs.Pixels, _runs.Pixels));
        }
    }

    private void Backward(Part part, int image, int group)
    {
        var (xs, ws, ys) = Ranges(image, group);
        ReadOnlySpan<T> g = _node.OutputGradient().Data.AsSpan(ys), w = _node.Input(1).Data.AsSpan(ws);
        int pixels = _runs.Pixels;
        if (_node.InputGradient(1) is not null)
        {
            var columns = Columns(part, _node.Input(0).Data.AsSpan(xs));
            var sums = part.Weights.AsSpan(ws);
            if (Outputs > 1) Products.Multiply(g, false, columns, true, Outputs, pixels, K, sums, add: true, part.Memory);
            else
                for (int k = 0; k < K; k++) sums[k] += Vectors.Dot(g, columns.Slice(k * pixels, pixels));
        }
        if (_node.InputGradient(0) is not { } gradient) return;
        var back = part.Back.Length > 0 ? part.Back : part.Back = new T[K * pixels];
        if (Outputs > 1) Products.Multiply(w, true, g, false, K, Outputs, pixels, back, add: false, part.Memory);
        else
        {
            Array.Clear(back);
            for (int k = 0; k < K; k++) Vectors.AddScaled(g, w[k], back.AsSpan(k * pixels, pixels));
        }
        for (int c = 0; c < _shape.GroupChannels; c++)
            _runs.Fold<T>(back.AsSpan(c * _runs.Taps * pixels, _runs.Taps * pixels), gradient.Data.AsSpan(xs).Slice(c * _runs.Plane, _runs.Plane));
    }

    private ReadOnlySpan<T> Columns(Part part, ReadOnlySpan<T> x)
    {
        if (_runs.IsWhole) return x;
        for (int c = 0; c < _shape.GroupChannels; c++) _runs.Unfold(x.Slice(c * _runs.Plane, _runs.Plane), part.Columns.AsSpan(c * _runs.Taps * _runs.Pixels));
        return part.Columns;
    }

    private enum Direction
    {
        Forward,
        Backward,
    }

    /// <summary>Memory of one part. Columns are zero where windows reach over the edge.</summary>
    private sealed class Part(int columns, int weights)
    {
        public TapeMemory Memory { get; } = new(1);

        public T[] Columns { get; } = new T[columns];

        public T[] Back { get; set; } = [];

        public T[] Weights { get; } = new T[weights];
    }

    private readonly struct Body(ConvolutionProducts<T> products, Direction direction) : IParallelBody
    {
        public void Run(int chunk, int lane) => products.RunPart(chunk, direction);
    }
}
