using System.Numerics;

namespace MLNet.Quantization.Ops;

// 1 above 0, else alpha, at 0 too.
internal sealed partial class LeakyRelu : IDifferentiable
{
    public bool Overwrites => true;

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        double alpha = node.Context.Attribute("alpha", 0.01f);
        UnaryGradient.Forward(node, FunctionOf(node.Context), x => x > 0 ? x : alpha * x);
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => UnaryGradient.FromInput(node, new Slope<T>(node.Context.Attribute("alpha", 0.01f)));

    private readonly struct Slope<T>(float alpha) : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        private readonly Vector<T> _alpha = new(T.CreateChecked(alpha));

        public Vector<T> Apply(Vector<T> x, Vector<T> y) => Vector.ConditionalSelect(Vector.GreaterThan(x, Vector<T>.Zero), y, _alpha * y);
    }
}
