using System.Numerics;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

// 2 / √π · e^(-x²).
internal sealed partial class Erf : IDifferentiable
{
    public bool Overwrites => true;

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => UnaryGradient.Forward(node, FunctionOf(node.Context), ErrorFunction.Of);

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => UnaryGradient.FromSlope(node, new ErfSlopeFunction(), static x => 2 / Math.Sqrt(Math.PI) * Math.Exp(-x * x));
}
