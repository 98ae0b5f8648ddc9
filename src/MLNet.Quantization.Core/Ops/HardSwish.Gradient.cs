using System.Numerics;

namespace MLNet.Quantization.Ops;

// 0 up to -3, 1 from 3 on, (2 · x + 3) / 6 between.
internal sealed partial class HardSwish : IDifferentiable
{
    public bool Overwrites => true;

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => UnaryGradient.Forward(node, FunctionOf(node.Context), static x => x * Math.Max(0, Math.Min(1, (x / 6) + 0.5)));

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => UnaryGradient.FromInput(node, new Slope<T>());

    private readonly struct Slope<T> : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        private static Vector<T> Three => new(T.CreateChecked(3));

        private static Vector<T> Six => new(T.CreateChecked(6));

        public Vector<T> Apply(Vector<T> x, Vector<T> y) => Vector.ConditionalSelect(Vector.GreaterThanOrEqual(x, Three), y, Vector.ConditionalSelect(Vector.LessThanOrEqual(x, -Three), Vector<T>.Zero, ((x + x + Three) / Six) * y));
    }
}
