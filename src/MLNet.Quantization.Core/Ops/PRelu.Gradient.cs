using System.Numerics;

namespace MLNet.Quantization.Ops;

// He et al., "Delving Deep into Rectifiers", 2015, eq. 9: below 0 the slope goes to x and x to the slope.
internal sealed partial class PRelu : IDifferentiable
{
    public ReadOnlySpan<int> LearnedInputs => [1];

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => BinaryGradient.Forward<T, Slopes<T>>(node);

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => BinaryGradient.Backward<T, Slopes<T>>(node);

    private readonly struct Slopes<T> : IBinaryGradient<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        public static Vector<T> Value(Vector<T> a, Vector<T> b) => Vector.ConditionalSelect(Vector.LessThan(a, Vector<T>.Zero), a * b, a);

        public static Vector<T> ToA(Vector<T> g, Vector<T> a, Vector<T> b) => Vector.ConditionalSelect(Vector.LessThan(a, Vector<T>.Zero), g * b, g);

        public static Vector<T> ToB(Vector<T> g, Vector<T> a, Vector<T> b) => Vector.ConditionalSelect(Vector.LessThan(a, Vector<T>.Zero), g * a, Vector<T>.Zero);
    }
}
