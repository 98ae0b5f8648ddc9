using System.Numerics;

namespace MLNet.Quantization.Ops;

// ∂y/∂x is 1 above 0 and 0 elsewhere, at 0 too.
internal sealed partial class Relu : IDifferentiable
{
    public bool Overwrites => true;

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        ReadOnlySpan<T> x = node.Input(0).Data;
        Vectors.Map(new Positive<T>(), x, x, node.Output().Data, node.MaxThreads);
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.InputGradient(0) is { } gradient) Vectors.Give(node.IsFresh, new Positive<T>(), node.Input(0).Data, node.OutputGradient().Data, gradient.Data, node.MaxThreads);
    }

    /// <summary>y where x is above 0 or NaN, else 0.</summary>
    private readonly struct Positive<T> : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        public Vector<T> Apply(Vector<T> x, Vector<T> y) => Vector.ConditionalSelect(Vector.LessThanOrEqual(x, Vector<T>.Zero), Vector<T>.Zero, y);
    }
}
