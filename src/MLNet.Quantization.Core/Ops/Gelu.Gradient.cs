using System.Numerics;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

// By erf, with Φ the normal distribution: Φ(x) + x · φ(x); by tanh, with t = tanh u: (1 + t) / 2 + x / 2 · (1 - t²) · u'.
internal sealed partial class Gelu : IDifferentiable
{
    public bool Overwrites => true;

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => UnaryGradient.Forward(node, FunctionOf(node.Context), DefinitionOf(node.Context));

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => UnaryGradient.FromSlope(node, new GeluSlopeFunction(IsByTanh(node.Context)), SlopeOf(node.Context));

    private static Func<double, double> DefinitionOf(OpContext context) =>
        IsByTanh(context) ? static x => x / 2 * (1 + Math.Tanh(Inner(x))) : static x => x / 2 * (1 + ErrorFunction.Of(x / Math.Sqrt(2)));

    private static Func<double, double> SlopeOf(OpContext context) => IsByTanh(context) ? static x =>
    {
        double t = Math.Tanh(Inner(x));
        return ((1 + t) / 2) + (x / 2 * (1 - (t * t)) * Scale * (1 + (3 * Cubic * x * x)));
    }
    : static x => ((1 + ErrorFunction.Of(x / Math.Sqrt(2))) / 2) + (x * Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI));

    private const double Cubic = 0.044715;

    /// <summary>√(2 / π).</summary>
    private const double Scale = 0.79788456080286541;

    private static double Inner(double x) => Scale * (x + (Cubic * x * x * x));
}
