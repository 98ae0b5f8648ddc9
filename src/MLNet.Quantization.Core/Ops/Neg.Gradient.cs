using System.Numerics;

namespace MLNet.Quantization.Ops;

// -1.
internal sealed partial class Neg : IDifferentiable
{
    public bool Overwrites => true;

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => UnaryGradient.Forward(node, FunctionOf(node.Context), static x => -x);

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => UnaryGradient.FromInput(node, new Slope<T>());

    private readonly struct Slope<T> : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        public Vector<T> Apply(Vector<T> x, Vector<T> y) => -y;
    }
}
