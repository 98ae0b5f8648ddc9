using System.Numerics;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

// Ioffe and Szegedy, "Batch Normalization", 2015. With x̂ = (x - mean) / √(variance + epsilon) of the batch and n elements a channel:
// ∂L/∂x = scale / √(variance + epsilon) · (g - Σg / n - x̂ · Σ(g · x̂) / n). The running statistics follow as the standard's training_mode has it,
// running = momentum · running + (1 - momentum) · batch, with the variance over n.
internal sealed partial class BatchNormalization : IDifferentiable
{
    private const int Means = 0, Inverses = 1, Centers = 2, FirstSums = 3;

    /// <summary>Elements between what two threads write all the time: more than a cache line.</summary>
    private const int Apart = 32;

    /// <summary>Elements for which waking another thread pays.</summary>
    private const int ThreadElements = 1 << 16;

    /// <summary>Elements of a channel whose mean is near enough to that of all.</summary>
    private const int FirstElements = 64;

    public ReadOnlySpan<int> LearnedInputs => [1, 2];

    public bool Overwrites => true;

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => Run(node, PlainPlanes<T>.Instance, isForward: true);

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => Run(node, PlainPlanes<T>.Instance, isForward: false);

    /// <param name="node">The normalization, with the output of what is behind it.</param>
    /// <param name="planes">The normalization and what is behind it.</param>
    /// <param name="isForward">Else back.</param>
    internal static void Run<T>(TapeNode<T> node, NormalizedPlanes<T> planes, bool isForward) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var batch = new Batch<T>(node, planes);
        if (isForward) batch.Forward();
        else batch.Backward();
    }

    /// <summary>
    /// One way through a batch. Rows fall into as many parts as there are threads, the same as those of a convolution, so that a part stays in
    /// one processor's cache; sums are taken part by part, so that a run gives the same bits at the same number of threads.
    /// </summary>
    private readonly struct Batch<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        private readonly TapeNode<T> _node;
        private readonly NormalizedPlanes<T> _planes;
        private readonly int _rows, _channels, _plane, _parts;
        private readonly T _count;

        public Batch(TapeNode<T> node, NormalizedPlanes<T> planes)
        {
            (_node, _planes) = (node, planes);
            int[] dims = node.Input(0).Dims;
            (_rows, _channels, _plane) = (dims[0], dims.Length > 1 ? dims[1] : 1, dims.Skip(2).Aggregate(1, (a, b) => a * b));
            _parts = node.Input(0).Count < ThreadElements ? 1 : Math.Clamp(Parallelism.Resolve(node.MaxThreads), 1, Math.Max(1, _rows));
            _count = T.CreateChecked((long)_rows * _plane);
            // Scratch memory is taken here: threads must not.
            for (int slot = Means; slot < FirstSums + _parts; slot++) node.Scratch(slot, (2 * _channels) + Apart);
        }

        public void Forward()
        {
            Center();
            Run(Pass.Visit);
            for (int c = 0; c < _channels; c++) Settle(c);
            Run(Pass.Forward);
        }

        public void Backward()
        {
            Run(Pass.Sums);
            var sums = Sums(0);
            for (int c = 0; c < _channels; c++)
            {
                sums[(2 * c) + 1] *= Of(Inverses)[c];
                if (_node.InputGradient(1) is { } scaleGradient) scaleGradient.Data[c] += sums[(2 * c) + 1];
                if (_node.InputGradient(2) is { } biasGradient) biasGradient.Data[c] += sums[2 * c];
            }
            if (_node.InputGradient(0) is not null) Run(Pass.Backward);
        }

        /// <summary>A number for each channel.</summary>
        private Span<T> Of(int slot) => _node.Scratch(slot, (2 * _channels) + Apart)[.._channels];

        /// <summary>Of each channel in a part, and in all once they are joined in part 0: Σ and the Σ of products.</summary>
        private Span<T> Sums(int part) => _node.Scratch(FirstSums + part, (2 * _channels) + Apart)[..(2 * _channels)];

        /// <summary>Distances are taken from a center that is near, so that what is subtracted from the mean square is small beside it.</summary>
        private void Center()
        {
            var centers = Of(Centers);
            centers.Clear();
            int rows = Math.Min(_rows, Math.Max(2, FirstElements / Math.Max(1, _plane)));
            for (int r = 0; r < rows; r++)
                for (int c = 0; c < _channels; c++) centers[c] += Vectors.Sum<T>(Plane(_node.Input(0), r, c)) / T.CreateChecked((long)rows * _plane);
        }

        /// <summary>Mean and variance of a channel: the batch's, which the running ones follow, or the running ones.</summary>
        private void Settle(int c)
        {
            T epsilon = T.CreateChecked(_node.Context.Attribute("epsilon", 1e-5f)), momentum = T.CreateChecked(_node.Context.Attribute("momentum", 0.9f));
            ref T runningMean = ref _node.Input(3).Data[c], runningVariance = ref _node.Input(4).Data[c];
            T mean = runningMean, variance = runningVariance;
            if (_node.IsTraining && _count > T.Zero)
            {
                T off = Sums(0)[2 * c] / _count;
                mean = Of(Centers)[c] + off;
                variance = T.Max(T.Zero, (Sums(0)[(2 * c) + 1] / _count) - (off * off));
                runningMean = (momentum * runningMean) + ((T.One - momentum) * mean);
                runningVariance = (momentum * runningVariance) + ((T.One - momentum) * variance);
            }
            Of(Means)[c] = mean;
            Of(Inverses)[c] = T.One / T.Sqrt(variance + epsilon);
        }

        private NormalizedLine<T> Line(int c) => new(Of(Means)[c], Of(Inverses)[c] * _node.Input(1).Data[c], _node.Input(2).Data[c]);

        private NormalizedSlope<T> Slope(int c)
        {
            T factor = Line(c).Factor;
            return _node.IsTraining ? new(factor, Of(Means)[c], -factor * Of(Inverses)[c] * Sums(0)[(2 * c) + 1] / _count, -factor * Sums(0)[2 * c] / _count) : new(factor, T.Zero, T.Zero, T.Zero);
        }

        private void Run(Pass pass)
        {
            var body = new Body<T>(this, pass);
            WorkerPool.Run(ref body, _parts, _node.MaxThreads);
            if (pass is Pass.Visit or Pass.Sums)
                for (int part = 1; part < _parts; part++) Vectors.Add<T>(Sums(part), Sums(0));
        }

        public void Run(Pass pass, int part, int lane)
        {
            int first = (int)((long)_rows * part / _parts), end = (int)((long)_rows * (part + 1) / _parts);
            var sums = Sums(part);
            if (pass is Pass.Visit or Pass.Sums) sums.Clear();
            for (int r = first; r < end; r++)
                for (int c = 0; c < _channels; c++)
                    switch (pass)
                    {
                        case Pass.Visit: Add(sums, c, Visit(lane, r, c)); break;
                        case Pass.Forward: _planes.Forward(Index(r, c), Line(c), Plane(_node.Input(0), r, c), Plane(_node.Output(), r, c)); break;
                        case Pass.Sums: Add(sums, c, _planes.Sums(Index(r, c), Line(c), Plane(_node.Input(0), r, c), Plane(_node.OutputGradient(), r, c))); break;
                        case Pass.Backward: Backward(lane, r, c); break;
                    }
        }

        private static void Add(Span<T> sums, int c, (T Sum, T Product) part)
        {
            sums[2 * c] += part.Sum;
            sums[(2 * c) + 1] += part.Product;
        }

        private (T Sum, T Squares) Visit(int lane, int r, int c)
        {
            var x = Plane(_node.Input(0), r, c);
            _planes.Prepare(lane, Index(r, c), x, isFalling: _node.Input(1).Data[c] < T.Zero);
            return _node.IsTraining ? Vectors.Moments<T>(x, Of(Centers)[c]) : default;
        }

        private void Backward(int lane, int r, int c) => _planes.Backward(
            lane, Index(r, c), Line(c), Slope(c), Plane(_node.Input(0), r, c), Plane(_node.OutputGradient(), r, c), Plane(_node.InputGradient(0)!, r, c), _node.IsFresh);

        /// <summary>The number of a channel's plane in the batch.</summary>
        private int Index(int row, int channel) => (row * _channels) + channel;

        private Span<T> Plane(Values<T> values, int row, int channel)
        {
            int plane = values.Count / (_rows * _channels);
            return values.Data.AsSpan(Index(row, channel) * plane, plane);
        }
    }

    private readonly struct Body<T>(Batch<T> batch, Pass pass) : IParallelBody where T : unmanaged, IFloatingPointIeee754<T>
    {
        public void Run(int chunk, int lane) => batch.Run(pass, chunk, lane);
    }

    private enum Pass
    {
        Visit,
        Forward,
        Sums,
        Backward,
    }
}
