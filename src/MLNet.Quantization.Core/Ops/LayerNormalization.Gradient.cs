using System.Numerics;

namespace MLNet.Quantization.Ops;

// Ba, Kiros and Hinton, "Layer Normalization", 2016. Outputs 1 and 2, where something flows back from them: ∂mean/∂x = 1 / n and
// ∂(1 / √...)/∂x = -x̂ / (n · (variance + epsilon)).
internal sealed partial class LayerNormalization : IDifferentiable
{
    private const int Inverses = 0, Normalized = 1, Row = 2;

    public ReadOnlySpan<int> LearnedInputs => [1, 2];

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var (rows, n) = ExtentsOf(node);
        T epsilon = T.CreateChecked(node.Context.Attribute("epsilon", 1e-5f));
        ReadOnlySpan<T> x = node.Input(0).Data, scale = node.Input(1).Data, bias = node.Has(2) ? node.Input(2).Data : [];
        Span<T> inverses = node.Scratch(Inverses, rows), normalized = node.Scratch(Normalized, x.Length);
        for (int row = 0; row < rows && n > 0; row++)
        {
            var part = normalized.Slice(row * n, n);
            (T mean, inverses[row]) = NormalizedRow.Normalize(x.Slice(row * n, n), epsilon, part);
            var y = node.Output().Data.AsSpan(row * n, n);
            if (scale.Length == n) Vectors.Product(part, scale, y);
            else Vectors.Line<T>(part, T.Zero, scale[0], T.Zero, y);
            if (bias.Length == n) Vectors.Add(bias, y);
            else if (!bias.IsEmpty) Vectors.AddTo(bias[0], y);
            if (OptionalOf(node.Outputs, 1) is { } means) means.Data[row] = mean;
            if (OptionalOf(node.Outputs, 2) is { } factors) factors.Data[row] = inverses[row];
        }
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var (rows, n) = ExtentsOf(node);
        ReadOnlySpan<T> scale = node.Input(1).Data, normalized = node.Scratch(Normalized, node.Input(0).Count);
        Span<T> inverses = node.Scratch(Inverses, rows), h = node.Scratch(Row, n);
        for (int row = 0; row < rows && n > 0; row++)
        {
            var part = normalized.Slice(row * n, n);
            if (node.OutputGradients[0] is { } output)
            {
                ReadOnlySpan<T> g = output.Data.AsSpan(row * n, n);
                if (node.InputGradient(1) is { } scales)
                {
                    if (scales.Count == n) Vectors.AddProduct(g, part, scales.Data);
                    else scales.Data[0] += Vectors.Dot(g, part);
                }
                if (node.InputGradient(2) is { } biases)
                {
                    if (biases.Count == n) Vectors.Add(g, biases.Data);
                    else biases.Data[0] += Vectors.Sum(g);
                }
                if (scale.Length == n) Vectors.Product(g, scale, h);
                else Vectors.Line(g, T.Zero, scale[0], T.Zero, h);
                if (node.InputGradient(0) is { } x) NormalizedRow.AddGradient(h, part, inverses[row], x.Data.AsSpan(row * n, n));
            }
            if (node.InputGradient(0) is { } to) AddStatistics(node, row, part, inverses[row], to.Data.AsSpan(row * n, n));
        }
    }

    /// <summary>What flows back from a row's mean and 1 / √(variance + epsilon).</summary>
    private static void AddStatistics<T>(TapeNode<T> node, int row, ReadOnlySpan<T> normalized, T inverse, Span<T> gradient) where T : unmanaged, IFloatingPointIeee754<T>
    {
        T n = T.CreateChecked(normalized.Length);
        if (OptionalOf(node.OutputGradients, 1) is { } means) Vectors.AddTo(means.Data[row] / n, gradient);
        if (OptionalOf(node.OutputGradients, 2) is { } factors) Vectors.AddScaled(normalized, -factors.Data[row] * inverse * inverse / n, gradient);
    }

    private static Values<T>? OptionalOf<T>(Values<T>?[] values, int index) where T : unmanaged => index < values.Length ? values[index] : null;

    private static (int Rows, int Count) ExtentsOf<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        int[] dims = node.Input(0).Dims;
        int axis = node.Context.Axis(node.Context.Attribute("axis", -1L), dims.Length), rows = 1, n = 1;
        for (int i = 0; i < dims.Length; i++)
        {
            if (i < axis) rows *= dims[i];
            else n *= dims[i];
        }
        return (rows, n);
    }
}
