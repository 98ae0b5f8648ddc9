using System.Numerics;

namespace MLNet.Quantization.Ops;

// alpha where y lies between 0 and 1, else 0.
internal sealed partial class HardSigmoid : IDifferentiable
{
    public bool Overwrites => true;

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        double alpha = node.Context.Attribute("alpha", 0.2f), beta = node.Context.Attribute("beta", 0.5f);
        UnaryGradient.Forward(node, FunctionOf(node.Context), x => Math.Max(0, Math.Min(1, (alpha * x) + beta)));
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => UnaryGradient.FromOutput(node, new Slope<T>(node.Context.Attribute("alpha", 0.2f)));

    private readonly struct Slope<T>(float alpha) : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        private readonly Vector<T> _alpha = new(T.CreateChecked(alpha));

        public Vector<T> Apply(Vector<T> x, Vector<T> y) =>
            Vector.ConditionalSelect(Vector.GreaterThan(x, Vector<T>.Zero) & Vector.LessThan(x, Vector<T>.One), _alpha * y, Vector<T>.Zero);
    }
}
