using System.Numerics;

namespace MLNet.Quantization.Ops;

// With U the windows of a group of an image as columns [K, pixels]: y = W · U + b, ∂L/∂W = G · Uᵀ, ∂L/∂U = Wᵀ · G, which Fold brings back to x.
internal sealed partial class Conv : IDifferentiable
{
    public ReadOnlySpan<int> LearnedInputs => [1, 2];

    public bool Overwrites => true;

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        ProductsOf(node).Forward(node.Input(0).Data, node.Input(1).Data, node.Output().Data);
        if (node.Has(2)) ConvolutionProducts<T>.AddBias(node.Input(2).Data, node.Output());
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var products = ProductsOf(node);
        var g = node.OutputGradient();
        if (node.InputGradient(1) is { } weights) products.AddWeightGradient(node.Input(0).Data, weights.Data, g.Data);
        if (node.InputGradient(0) is { } x) products.InputGradient(x.Data, node.Input(1).Data, g.Data, add: !node.IsFresh);
        if (node.InputGradient(2) is { } bias) ConvolutionProducts<T>.AddBiasGradient(bias.Data, g);
    }

    private static ConvolutionProducts<T> ProductsOf<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> =>
        (ConvolutionProducts<T>)(node.State ??= new ConvolutionProducts<T>(ConvolutionShapes.Resolve(node.Context, node.Input(0).Dims, node.Input(1).Dims), node.MaxThreads));
}
