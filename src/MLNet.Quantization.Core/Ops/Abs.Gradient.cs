using System.Numerics;

namespace MLNet.Quantization.Ops;

// The sign of x, 0 at 0.
internal sealed partial class Abs : IDifferentiable
{
    public bool Overwrites => true;

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => UnaryGradient.Forward(node, FunctionOf(node.Context), Math.Abs);

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => UnaryGradient.FromInput(node, new Slope<T>());

    private readonly struct Slope<T> : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        public Vector<T> Apply(Vector<T> x, Vector<T> y) => Vector.ConditionalSelect(Vector.GreaterThan(x, Vector<T>.Zero), y, Vector.ConditionalSelect(Vector.LessThan(x, Vector<T>.Zero), -y, Vector<T>.Zero));
    }
}
