using System.Numerics;

namespace MLNet.Quantization.Ops;

// 1 within the bounds, both included, else 0. Bounds are constants.
internal sealed partial class Clip : IDifferentiable
{
    public bool Overwrites => true;

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var bounds = BoundsOf(node);
        T[] x = node.Input(0).Data;
        Vectors.Map(bounds with { Clamps = true }, x, x, node.Output().Data);
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => UnaryGradient.FromInput(node, BoundsOf(node));

    private static Bounds<T> BoundsOf<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        bool areInputs = node.Context.Opset >= 11;
        T low = areInputs ? node.Has(1) ? node.Input(1).Data[0] : T.NegativeInfinity : T.CreateChecked(node.Context.Attribute("min", float.MinValue));
        T high = areInputs ? node.Has(2) ? node.Input(2).Data[0] : T.PositiveInfinity : T.CreateChecked(node.Context.Attribute("max", float.MaxValue));
        return new(new(low), new(high), false);
    }

    private readonly record struct Bounds<T>(Vector<T> Low, Vector<T> High, bool Clamps) : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        public Vector<T> Apply(Vector<T> x, Vector<T> y) => Clamps
            ? Vector.ConditionalSelect(Vector.LessThan(x, Low), Low, Vector.ConditionalSelect(Vector.GreaterThan(x, High), High, x))
            : Vector.ConditionalSelect(Vector.LessThan(x, Low) | Vector.GreaterThan(x, High), Vector<T>.Zero, y);
    }
}
