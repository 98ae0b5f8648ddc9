using System.Numerics;

namespace MLNet.Quantization.Ops;

// The convolution whose input is this output has x as its output: y is what its gradient by the input would be, ∂L/∂x what it would compute.
internal sealed partial class ConvTranspose : IDifferentiable
{
    public ReadOnlySpan<int> LearnedInputs => [1, 2];

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var y = node.Output();
        Array.Clear(y.Data);
        ProductsOf(node).InputGradient(y.Data, node.Input(1).Data, node.Input(0).Data);
        if (node.Has(2)) ConvolutionProducts<T>.AddBias(node.Input(2).Data, y);
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var products = ProductsOf(node);
        var g = node.OutputGradient();
        if (node.InputGradient(0) is { } x) products.Forward(g.Data, node.Input(1).Data, x.Data, add: true);
        if (node.InputGradient(1) is { } weights) products.AddWeightGradient(g.Data, weights.Data, node.Input(0).Data);
        if (node.InputGradient(2) is { } bias) ConvolutionProducts<T>.AddBiasGradient(bias.Data, g);
    }

    private static ConvolutionProducts<T> ProductsOf<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> =>
        (ConvolutionProducts<T>)(node.State ??= new ConvolutionProducts<T>(ShapeOf(node.Context, node.Input(0).Dims, node.Input(1).Dims, node.Output().Dims), node.MaxThreads));
}
