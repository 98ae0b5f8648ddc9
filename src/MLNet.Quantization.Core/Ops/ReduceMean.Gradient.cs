using System.Numerics;

namespace MLNet.Quantization.Ops;

internal sealed partial class ReduceMean : IDifferentiable
{
    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> =>
        ReductionGradient.Forward(node, ReducedAxes(node.Context, node.Input(0).Dims.Length), isMean: true);

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> =>
        ReductionGradient.Backward(node, ReducedAxes(node.Context, node.Input(0).Dims.Length), isMean: true);
}
