using System.Numerics;
using System.Runtime.InteropServices;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>Functions of one number: in float32 the very function that scores, in double its definition.</summary>
internal static class UnaryGradient
{
    public static void Forward<T, TFunction>(TapeNode<T> node, TFunction function, Func<double, double> definition)
        where T : unmanaged, IFloatingPointIeee754<T> where TFunction : struct, IUnaryFunction
    {
        T[] x = node.Input(0).Data, y = node.Output().Data;
        if (typeof(T) == typeof(float)) Elementwise.Map(function, MemoryMarshal.Cast<T, float>(x), MemoryMarshal.Cast<T, float>(y.AsSpan()));
        else
            for (int i = 0; i < x.Length; i++) y[i] = T.CreateChecked(definition(double.CreateChecked(x[i])));
    }

    /// <param name="node">The node.</param>
    /// <param name="slope">Of x and the gradient at y: what goes to x.</param>
    public static void FromInput<T, TSlope>(TapeNode<T> node, TSlope slope) where T : unmanaged, IFloatingPointIeee754<T> where TSlope : struct, IVectorFunction<T>
    {
        if (node.InputGradient(0) is { } gradient) Vectors.Accumulate(slope, node.Input(0).Data, node.OutputGradient().Data, gradient.Data);
    }

    /// <param name="node">The node.</param>
    /// <param name="slope">Of y and the gradient at y: what goes to x.</param>
    public static void FromOutput<T, TSlope>(TapeNode<T> node, TSlope slope) where T : unmanaged, IFloatingPointIeee754<T> where TSlope : struct, IVectorFunction<T>
    {
        if (node.InputGradient(0) is { } gradient) Vectors.Accumulate(slope, node.Output().Data, node.OutputGradient().Data, gradient.Data);
    }
}
