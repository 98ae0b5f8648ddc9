using System.Numerics;
using System.Runtime.InteropServices;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>Functions of one number: in float32 the very function that scores, in double its definition.</summary>
internal static class UnaryGradient
{
    public static void Forward<T, TFunction>(TapeNode<T> node, TFunction function, Func<double, double> definition)
        where T : unmanaged, IFloatingPointIeee754<T> where TFunction : struct, IUnaryFunction =>
        Map(node.Input(0).Data, node.Output().Data, function, definition);

    /// <param name="node">The node.</param>
    /// <param name="slope">Of x and the gradient at y: what goes to x.</param>
    public static void FromInput<T, TSlope>(TapeNode<T> node, TSlope slope) where T : unmanaged, IFloatingPointIeee754<T> where TSlope : struct, IVectorFunction<T>
    {
        if (node.InputGradient(0) is { } gradient) Vectors.Give(node.IsFresh, slope, node.Input(0).Data, node.OutputGradient().Data, gradient.Data, node.MaxThreads);
    }

    /// <param name="node">The node.</param>
    /// <param name="slope">Of y and the gradient at y: what goes to x.</param>
    public static void FromOutput<T, TSlope>(TapeNode<T> node, TSlope slope) where T : unmanaged, IFloatingPointIeee754<T> where TSlope : struct, IVectorFunction<T>
    {
        if (node.InputGradient(0) is { } gradient) Vectors.Give(node.IsFresh, slope, node.Output().Data, node.OutputGradient().Data, gradient.Data, node.MaxThreads);
    }

    /// <param name="node">The node.</param>
    /// <param name="slope">∂y/∂x as a function of x that float32 computes in vectors.</param>
    /// <param name="definition">The same in double.</param>
    public static void FromSlope<T, TFunction>(TapeNode<T> node, TFunction slope, Func<double, double> definition)
        where T : unmanaged, IFloatingPointIeee754<T> where TFunction : struct, IUnaryFunction
    {
        if (node.InputGradient(0) is not { } gradient) return;
        var slopes = node.Scratch(0, gradient.Count);
        Map(node.Input(0).Data, slopes, slope, definition);
        Vectors.Give(node.IsFresh, new ByGradient<T>(), slopes, node.OutputGradient().Data, gradient.Data, node.MaxThreads);
    }

    private static void Map<T, TFunction>(T[] x, Span<T> y, TFunction function, Func<double, double> definition)
        where T : unmanaged, IFloatingPointIeee754<T> where TFunction : struct, IUnaryFunction
    {
        if (typeof(T) == typeof(float)) Elementwise.Map(function, MemoryMarshal.Cast<T, float>(x), MemoryMarshal.Cast<T, float>(y));
        else
            for (int i = 0; i < x.Length; i++) y[i] = T.CreateChecked(definition(double.CreateChecked(x[i])));
    }

    private readonly struct ByGradient<T> : IVectorFunction<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        public Vector<T> Apply(Vector<T> x, Vector<T> y) => x * y;
    }
}
