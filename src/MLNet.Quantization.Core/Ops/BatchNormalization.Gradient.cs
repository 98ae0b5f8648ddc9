using System.Numerics;

namespace MLNet.Quantization.Ops;

// Ioffe and Szegedy, "Batch Normalization", 2015. With x̂ = (x - mean) / √(variance + epsilon) of the batch and n elements a channel:
// ∂L/∂x = scale / √(variance + epsilon) · (g - Σg / n - x̂ · Σ(g · x̂) / n). The running statistics follow as the standard's training_mode has it,
// running = momentum · running + (1 - momentum) · batch, with the variance over n.
internal sealed partial class BatchNormalization : IDifferentiable
{
    private const int Mean = 0, Inverse = 1, Normalized = 2;

    public ReadOnlySpan<int> LearnedInputs => [1, 2];

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var (rows, channels, plane) = ExtentsOf(node);
        T epsilon = T.CreateChecked(node.Context.Attribute("epsilon", 1e-5f)), momentum = T.CreateChecked(node.Context.Attribute("momentum", 0.9f));
        Span<T> mean = node.Scratch(Mean, channels), inverse = node.Scratch(Inverse, channels), normalized = node.Scratch(Normalized, node.Input(0).Count);
        T[] x = node.Input(0).Data, y = node.Output().Data, runningMean = node.Input(3).Data, runningVariance = node.Input(4).Data;
        T n = T.CreateChecked((long)rows * plane);
        for (int c = 0; c < channels; c++)
        {
            T variance = runningVariance[c];
            mean[c] = runningMean[c];
            if (node.IsTraining && n > T.Zero)
            {
                T sum = T.Zero, squares = T.Zero;
                for (int r = 0; r < rows; r++) sum += Vectors.Sum<T>(x.AsSpan(((r * channels) + c) * plane, plane));
                mean[c] = sum / n;
                for (int r = 0; r < rows; r++) squares += Vectors.SumOfSquares<T>(x.AsSpan(((r * channels) + c) * plane, plane), mean[c]);
                variance = squares / n;
                runningMean[c] = (momentum * runningMean[c]) + ((T.One - momentum) * mean[c]);
                runningVariance[c] = (momentum * runningVariance[c]) + ((T.One - momentum) * variance);
            }
            inverse[c] = T.One / T.Sqrt(variance + epsilon);
            T scale = node.Input(1).Data[c], bias = node.Input(2).Data[c];
            for (int r = 0; r < rows; r++)
            {
                int at = ((r * channels) + c) * plane;
                var part = normalized.Slice(at, plane);
                Vectors.Line(x.AsSpan(at, plane), inverse[c], -mean[c] * inverse[c], part);
                Vectors.Line<T>(part, scale, bias, y.AsSpan(at, plane));
            }
        }
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var (rows, channels, plane) = ExtentsOf(node);
        Span<T> inverse = node.Scratch(Inverse, channels), normalized = node.Scratch(Normalized, node.Input(0).Count);
        T[] g = node.OutputGradient().Data;
        T n = T.CreateChecked((long)rows * plane);
        for (int c = 0; c < channels; c++)
        {
            T sum = T.Zero, product = T.Zero;
            for (int r = 0; r < rows; r++)
            {
                int at = ((r * channels) + c) * plane;
                sum += Vectors.Sum<T>(g.AsSpan(at, plane));
                product += Vectors.Dot<T>(g.AsSpan(at, plane), normalized.Slice(at, plane));
            }
            if (node.InputGradient(1) is { } scaleGradient) scaleGradient.Data[c] += product;
            if (node.InputGradient(2) is { } biasGradient) biasGradient.Data[c] += sum;
            if (node.InputGradient(0) is not { } gradient) continue;
            T factor = node.Input(1).Data[c] * inverse[c];
            for (int r = 0; r < rows; r++)
            {
                int at = ((r * channels) + c) * plane;
                var to = gradient.Data.AsSpan(at, plane);
                Vectors.AddScaled(g.AsSpan(at, plane), factor, to);
                if (!node.IsTraining) continue;
                Vectors.AddScaled(normalized.Slice(at, plane), -factor * product / n, to);
                Vectors.AddTo(-factor * sum / n, to);
            }
        }
    }

    private static (int Rows, int Channels, int Plane) ExtentsOf<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        int[] dims = node.Input(0).Dims;
        return (dims[0], dims.Length > 1 ? dims[1] : 1, dims.Skip(2).Aggregate(1, (a, b) => a * b));
    }
}
