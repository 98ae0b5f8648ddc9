using System.Numerics;

namespace MLNet.Quantization.Ops;

// What is padded with an edge or a reflection adds to where it was taken from.
internal sealed partial class Pad : IDifferentiable
{
    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => MovementGradient.Forward(node, this, FillOf(node));

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => MovementGradient.Backward(node, this);

    private static T FillOf<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> =>
        node.Context.Opset < 11 ? T.CreateChecked(node.Context.Attribute("value", 0f)) : node.Has(2) ? node.Input(2).Data[0] : T.Zero;
}
