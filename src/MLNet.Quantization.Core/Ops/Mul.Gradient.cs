using System.Numerics;

namespace MLNet.Quantization.Ops;

internal sealed partial class Mul : IDifferentiable
{
    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => BinaryGradient.Forward<T, Slopes<T>>(node);

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => BinaryGradient.Backward<T, Slopes<T>>(node);

    private readonly struct Slopes<T> : IBinaryGradient<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        public static Vector<T> Value(Vector<T> a, Vector<T> b) => a * b;

        public static Vector<T> ToA(Vector<T> g, Vector<T> a, Vector<T> b) => g * b;

        public static Vector<T> ToB(Vector<T> g, Vector<T> a, Vector<T> b) => g * a;
    }
}
