using System.Numerics;

namespace MLNet.Quantization.Ops;

internal sealed partial class Unsqueeze : IDifferentiable
{
    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => MovementGradient.CopyForward(node);

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => MovementGradient.CopyBackward(node);
}
