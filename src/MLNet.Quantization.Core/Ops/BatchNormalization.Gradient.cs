using System.Numerics;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

// Ioffe and Szegedy, "Batch Normalization", 2015. With x̂ = (x - mean) / √(variance + epsilon) of the batch and n elements a channel:
// ∂L/∂x = scale / √(variance + epsilon) · (g - Σg / n - x̂ · Σ(g · x̂) / n). The running statistics follow as the standard's training_mode has it,
// running = momentum · running + (1 - momentum) · batch, with the variance over n.
internal sealed partial class BatchNormalization : IDifferentiable
{
    private const int Mean = 0, Inverse = 1;

    public ReadOnlySpan<int> LearnedInputs => [1, 2];

    public bool Overwrites => true;

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => Run(node, null, isForward: true);

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => Run(node, null, isForward: false);

    /// <param name="node">The node; where it has a tail, its output is the tail's.</param>
    /// <param name="tail">What is done with each plane behind it, or null.</param>
    /// <param name="isForward">Else back.</param>
    internal static void Run<T>(TapeNode<T> node, PlaneTail<T>? tail, bool isForward) where T : unmanaged, IFloatingPointIeee754<T>
    {
        int[] dims = node.Input(0).Dims;
        int channels = dims.Length > 1 ? dims[1] : 1;
        // Scratch memory is taken here: threads must not.
        node.Scratch(Mean, channels);
        node.Scratch(Inverse, channels);
        var body = new Body<T>(node, tail, dims[0], channels, dims.Skip(2).Aggregate(1, (a, b) => a * b), isForward);
        WorkerPool.Run(ref body, channels, node.Input(0).Count < ThreadElements ? 1 : node.MaxThreads);
    }

    /// <summary>Elements for which waking another thread pays.</summary>
    private const int ThreadElements = 1 << 16;

    /// <summary>Rows whose mean is near enough to that of all.</summary>
    private const int FirstRows = 8;

    /// <summary>A channel is a chunk: its sums do not depend on the number of threads.</summary>
    private readonly struct Body<T>(TapeNode<T> node, PlaneTail<T>? tail, int rows, int channels, int plane, bool isForward) : IParallelBody where T : unmanaged, IFloatingPointIeee754<T>
    {
        private readonly T _count = T.CreateChecked((long)rows * plane);

        public void Run(int channel, int lane)
        {
            if (isForward) Forward(channel, lane);
            else Backward(channel, lane);
        }

        private Span<T> Plane(T[] values, int row, int channel) => values.AsSpan(((row * channels) + channel) * plane, plane);

        private void Forward(int c, int lane)
        {
            T epsilon = T.CreateChecked(node.Context.Attribute("epsilon", 1e-5f)), momentum = T.CreateChecked(node.Context.Attribute("momentum", 0.9f));
            T[] x = node.Input(0).Data, y = node.Output().Data;
            ref T runningMean = ref node.Input(3).Data[c], runningVariance = ref node.Input(4).Data[c];
            T mean = runningMean, variance = runningVariance;
            if (node.IsTraining && _count > T.Zero)
            {
                (mean, variance) = Moments(x, c);
                runningMean = (momentum * runningMean) + ((T.One - momentum) * mean);
                runningVariance = (momentum * runningVariance) + ((T.One - momentum) * variance);
            }
            T inverse = T.One / T.Sqrt(variance + epsilon);
            T factor = inverse * node.Input(1).Data[c], bias = node.Input(2).Data[c];
            for (int r = 0; r < rows; r++)
                if (tail is null) Vectors.Line(Plane(x, r, c), mean, factor, bias, Plane(y, r, c));
                else tail.Forward(lane, (r * channels) + c, Plane(x, r, c), mean, factor, bias, y);
            node.Scratch(Mean, channels)[c] = mean;
            node.Scratch(Inverse, channels)[c] = inverse;
        }

        /// <summary>
        /// Mean and variance in one pass over all rows, from the distances to a center that is near: the mean of the first rows. So what is
        /// taken from the mean square is small beside it.
        /// </summary>
        private (T Mean, T Variance) Moments(T[] x, int c)
        {
            T center = T.Zero, sum = T.Zero, squares = T.Zero;
            int first = Math.Min(rows, FirstRows);
            for (int r = 0; r < first; r++) center += Vectors.Sum<T>(Plane(x, r, c)) / T.CreateChecked((long)first * plane);
            for (int r = 0; r < rows; r++)
            {
                var (part, square) = Vectors.Moments<T>(Plane(x, r, c), center);
                sum += part;
                squares += square;
            }
            T off = sum / _count;
            return (center + off, T.Max(T.Zero, (squares / _count) - (off * off)));
        }

        private void Backward(int c, int lane)
        {
            T mean = node.Scratch(Mean, channels)[c], inverse = node.Scratch(Inverse, channels)[c], sum = T.Zero, product = T.Zero;
            T[] x = node.Input(0).Data;
            for (int r = 0; r < rows; r++)
            {
                var (part, dot) = Vectors.SumAndDot(GradientAt(lane, r, c), Plane(x, r, c), mean);
                sum += part;
                product += dot;
            }
            product *= inverse;
            if (node.InputGradient(1) is { } scaleGradient) scaleGradient.Data[c] += product;
            if (node.InputGradient(2) is { } biasGradient) biasGradient.Data[c] += sum;
            if (node.InputGradient(0) is not { } gradient) return;
            T factor = node.Input(1).Data[c] * inverse;
            var slope = node.IsTraining ? new Slope<T>(factor, mean, -factor * inverse * product / _count, -factor * sum / _count) : new Slope<T>(factor, T.Zero, T.Zero, T.Zero);
            for (int r = 0; r < rows; r++) Vectors.Give(node.IsFresh, slope, Plane(x, r, c), GradientAt(lane, r, c), Plane(gradient.Data, r, c));
        }

        /// <summary>∂L of the normalized plane.</summary>
        private ReadOnlySpan<T> GradientAt(int lane, int row, int channel)
        {
            T[] g = node.OutputGradient().Data;
            return tail is null ? Plane(g, row, channel) : tail.Backward(lane, (row * channels) + channel, g, node.Output().Data);
        }
    }

    /// <summary>g · factor + (x - mean) · along + shift.</summary>
    private readonly struct Slope<T>(T factor, T mean, T along, T shift) : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        private readonly Vector<T> _factor = new(factor), _mean = new(mean), _along = new(along), _shift = new(shift);

        public Vector<T> Apply(Vector<T> x, Vector<T> y) => (y * _factor) + ((x - _mean) * _along) + _shift;
    }
}
