using System.Numerics;

namespace MLNet.Quantization.Ops;

// 1 / (2 · y).
internal sealed partial class Sqrt : IDifferentiable
{
    public bool Overwrites => true;

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => UnaryGradient.Forward(node, FunctionOf(node.Context), Math.Sqrt);

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => UnaryGradient.FromOutput(node, new Slope<T>());

    private readonly struct Slope<T> : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        public Vector<T> Apply(Vector<T> x, Vector<T> y) => y / (x + x);
    }
}
