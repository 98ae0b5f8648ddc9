using System.Numerics;

namespace MLNet.Quantization.Ops;

// 1 above 0, else y + alpha.
internal sealed partial class Elu : IDifferentiable
{
    public bool Overwrites => true;

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        double alpha = node.Context.Attribute("alpha", 1f);
        UnaryGradient.Forward(node, FunctionOf(node.Context), x => x > 0 ? x : alpha * (Math.Exp(x) - 1));
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => UnaryGradient.FromOutput(node, new Slope<T>(node.Context.Attribute("alpha", 1f)));

    private readonly struct Slope<T>(float alpha) : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        private readonly Vector<T> _alpha = new(T.CreateChecked(alpha));

        public Vector<T> Apply(Vector<T> x, Vector<T> y) => Vector.ConditionalSelect(Vector.GreaterThan(x, Vector<T>.Zero), y, (x + _alpha) * y);
    }
}
