using System.Numerics;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Training;

/// <summary>
/// A layer before its batch normalization is folded: weights are rounded as they will be scored, w · s with s = scale / √(variance + epsilon)
/// of the running variance, and what comes out is divided by s again, so that the batch's own statistics can normalize it (Krishnamoorthi,
/// "Quantizing deep convolutional networks for efficient inference", 2018, section 3.2.2). s counts as a constant on the way back.
/// </summary>
internal static class NormalizationScale
{
    /// <summary>A channel whose scale is nothing is left as it is.</summary>
    private const double Least = 1e-12;

    /// <param name="node">Its input 1 is the scale, input 2 the running variance.</param>
    /// <param name="epsilon">Of the normalization.</param>
    /// <returns>s by channel, in scratch slot 0.</returns>
    public static ReadOnlySpan<T> Of<T>(TapeNode<T> node, float epsilon) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var s = node.Scratch(0, node.Input(1).Count);
        Take<T>(node.Input(1).Data, node.Input(2).Data, epsilon, s);
        return s;
    }

    /// <param name="weights">Of the layer.</param>
    /// <param name="layout">Of the weights.</param>
    /// <param name="scale">By channel.</param>
    /// <param name="variance">Running, by channel.</param>
    /// <param name="epsilon">Of the normalization.</param>
    /// <returns>w · s.</returns>
    public static float[] Apply(ReadOnlySpan<float> weights, ChannelLayout layout, ReadOnlySpan<float> scale, ReadOnlySpan<float> variance, float epsilon)
    {
        float[] s = new float[scale.Length], result = new float[weights.Length];
        Take(scale, variance, epsilon, s);
        Multiply<float>(weights, s, layout, result, add: false);
        return result;
    }

    private static void Take<T>(ReadOnlySpan<T> scale, ReadOnlySpan<T> variance, float epsilon, Span<T> s) where T : unmanaged, IFloatingPointIeee754<T>
    {
        for (int c = 0; c < s.Length; c++)
        {
            s[c] = scale[c] / T.Sqrt(variance[c] + T.CreateChecked(epsilon));
            if (!(T.Abs(s[c]) > T.CreateChecked(Least))) s[c] = T.One;
        }
    }

    /// <summary>y[.., c, ..] = x[.., c, ..] · factor[c], or adds that to y.</summary>
    public static void Multiply<T>(ReadOnlySpan<T> x, ReadOnlySpan<T> factor, ChannelLayout layout, Span<T> y, bool add) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (!add) y.Clear();
        for (int row = 0, at = 0; row < layout.Outer; row++)
        {
            if (layout.Inner == 1)
            {
                Vectors.AddProduct(x.Slice(at, layout.Channels), factor, y.Slice(at, layout.Channels));
                at += layout.Channels;
                continue;
            }
            for (int c = 0; c < layout.Channels; c++, at += layout.Inner) Vectors.AddScaled(x.Slice(at, layout.Inner), factor[c], y.Slice(at, layout.Inner));
        }
    }
}

/// <summary>w · s. Inputs: w, scale, running variance.</summary>
internal sealed class NormalizedWeights(ChannelLayout layout, float epsilon) : IDifferentiable
{
    public string OpType => "NormalizedWeights";

    public ReadOnlySpan<int> LearnedInputs => [0];

    public ValueFact[] Infer(OpContext context) => [new(ElementType.Float, context.Input(0).Shape)];

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> =>
        NormalizationScale.Multiply(node.Input(0).Data, NormalizationScale.Of(node, epsilon), layout, node.Output().Data, add: false);

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.InputGradient(0) is { } gradient)
            NormalizationScale.Multiply<T>(node.OutputGradient().Data, node.Scratch(0, node.Input(1).Count), layout, gradient.Data, add: true);
    }
}

/// <summary>y / s, channels second: what a layer with <see cref="NormalizedWeights"/> gives, as its own weights would. Inputs: y, scale, running variance.</summary>
internal sealed class WithoutNormalization(float epsilon) : IDifferentiable
{
    public string OpType => "WithoutNormalization";

    public ValueFact[] Infer(OpContext context) => [new(ElementType.Float, context.Input(0).Shape)];

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var s = NormalizationScale.Of(node, epsilon);
        var inverse = node.Scratch(1, s.Length);
        for (int c = 0; c < s.Length; c++) inverse[c] = T.One / s[c];
        NormalizationScale.Multiply<T>(node.Input(0).Data, inverse, LayoutOf(node), node.Output().Data, add: false);
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.InputGradient(0) is { } gradient)
            NormalizationScale.Multiply<T>(node.OutputGradient().Data, node.Scratch(1, node.Input(1).Count), LayoutOf(node), gradient.Data, add: true);
    }

    private static ChannelLayout LayoutOf<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        int[] dims = node.Input(0).Dims;
        return new(dims[0], dims[1], dims.Skip(2).Aggregate(1, (a, b) => a * b));
    }
}
