using System.Numerics;

namespace MLNet.Quantization.Ops;

// With U the windows of a group of an image as columns [K, pixels]: y = W · U + b, ∂L/∂W = G · Uᵀ, ∂L/∂U = Wᵀ · G, which Fold brings back to x.
internal sealed partial class Conv : IDifferentiable
{
    public ReadOnlySpan<int> LearnedInputs => [1, 2];

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => ConvolutionProducts<T>.Of(node).Forward();

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => ConvolutionProducts<T>.Of(node).Backward();
}
