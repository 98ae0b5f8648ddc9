using System.Numerics;

namespace MLNet.Quantization.Ops;

internal sealed partial class SpaceToDepth : IDifferentiable
{
    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => MovementGradient.Forward(node, this);

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => MovementGradient.Backward(node, this);
}
