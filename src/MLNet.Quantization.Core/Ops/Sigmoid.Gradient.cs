using System.Numerics;

namespace MLNet.Quantization.Ops;

// y · (1 - y).
internal sealed partial class Sigmoid : IDifferentiable
{
    public bool Overwrites => true;

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => UnaryGradient.Forward(node, FunctionOf(node.Context), static x => 1 / (1 + Math.Exp(-x)));

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => UnaryGradient.FromOutput(node, new Slope<T>());

    private readonly struct Slope<T> : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        public Vector<T> Apply(Vector<T> x, Vector<T> y) => x * (Vector<T>.One - x) * y;
    }
}
