using System.Numerics;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

// 1 / (1 + e^-x).
internal sealed partial class Softplus : IDifferentiable
{
    public bool Overwrites => true;

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => UnaryGradient.Forward(node, FunctionOf(node.Context), static x => Math.Log(1 + Math.Exp(x)));

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => UnaryGradient.FromSlope(node, new SigmoidFunction(), static x => 1 / (1 + Math.Exp(-x)));
}
