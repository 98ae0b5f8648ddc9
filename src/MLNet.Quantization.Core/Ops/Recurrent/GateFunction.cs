using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Recurrent;

/// <summary>An activation of a gate while training: its values, in float32 by the function that scores and in double by the standard's definition, and its slopes.</summary>
/// <param name="activation">Which.</param>
/// <param name="clip">Bound of what goes into it, outside of which its slope is 0; infinity for none.</param>
internal readonly struct GateFunction<T>(GateActivation activation, float clip) where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly Vector<T> _alpha = new(T.CreateChecked(activation.Alpha)), _beta = new(T.CreateChecked(activation.Beta)), _clip = new(T.CreateChecked(clip));

    /// <summary>y = f(x), x bounded.</summary>
    /// <param name="x">As many as a multiple of all vector widths.</param>
    /// <param name="y">As many.</param>
    public void Map(ReadOnlySpan<T> x, Span<T> y)
    {
        if (!float.IsPositiveInfinity(clip))
        {
            for (int i = 0; i < x.Length; i += Vector<T>.Count) Vector.Min(Vector.Max(new(x[i..]), -_clip), _clip).CopyTo(y[i..]);
            x = y[..x.Length];
        }
        if (typeof(T) == typeof(float)) Elementwise.Map(activation, MemoryMarshal.Cast<T, float>(x), MemoryMarshal.Cast<T, float>(y));
        else
            for (int i = 0; i < x.Length; i++) y[i] = T.CreateChecked(Value(double.CreateChecked(x[i])));
    }

    /// <summary>∂f/∂x.</summary>
    /// <param name="x">Before it was bounded.</param>
    /// <param name="y">f(x).</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector<T> Slope(Vector<T> x, Vector<T> y)
    {
        var slope = activation.Kind switch
        {
            GateFunctionKind.Sigmoid => y * (Vector<T>.One - y),
            GateFunctionKind.Tanh => Vector<T>.One - (y * y),
            _ => Other(x, y),
        };
        return float.IsPositiveInfinity(clip) ? slope : Vector.ConditionalSelect(Vector.LessThanOrEqual(Vector.Abs(x), _clip), slope, Vector<T>.Zero);
    }

    private Vector<T> Other(Vector<T> x, Vector<T> y)
    {
        Vector<T> one = Vector<T>.One, zero = Vector<T>.Zero;
        switch (activation.Kind)
        {
            case GateFunctionKind.Affine:
                return _alpha;
            case GateFunctionKind.Elu:
                return Vector.ConditionalSelect(Vector.LessThan(x, zero), y + _alpha, one);
            case GateFunctionKind.HardSigmoid:
                return Vector.ConditionalSelect(Vector.GreaterThan(y, zero) & Vector.LessThan(y, one), _alpha, zero);
            case GateFunctionKind.LeakyRelu:
                return Vector.ConditionalSelect(Vector.LessThan(x, zero), _alpha, one);
            case GateFunctionKind.Relu:
                return Vector.ConditionalSelect(Vector.GreaterThan(x, zero), one, zero);
            case GateFunctionKind.ScaledTanh:
                return _beta * (_alpha - (y * y / _alpha));
            case GateFunctionKind.Softsign:
                var below = one + Vector.Abs(x);
                return one / (below * below);
            case GateFunctionKind.ThresholdedRelu:
                return Vector.ConditionalSelect(Vector.GreaterThan(x, _alpha), one, zero);
            default:
                // Softplus: f' = 1 - e^-f.
                Span<T> slopes = stackalloc T[Vector<T>.Count];
                for (int i = 0; i < slopes.Length; i++) slopes[i] = T.One - T.Exp(-y[i]);
                return new(slopes);
        }
    }

    private double Value(double x)
    {
        double alpha = activation.Alpha, beta = activation.Beta;
        return activation.Kind switch
        {
            GateFunctionKind.Affine => (alpha * x) + beta,
            GateFunctionKind.Elu => x < 0 ? alpha * (Math.Exp(x) - 1) : x,
            GateFunctionKind.HardSigmoid => Math.Clamp((alpha * x) + beta, 0, 1),
            GateFunctionKind.LeakyRelu => x < 0 ? alpha * x : x,
            GateFunctionKind.Relu => Math.Max(0, x),
            GateFunctionKind.ScaledTanh => alpha * Math.Tanh(beta * x),
            GateFunctionKind.Sigmoid => 1 / (1 + Math.Exp(-x)),
            GateFunctionKind.Softplus => Math.Log(1 + Math.Exp(x)),
            GateFunctionKind.Softsign => x / (1 + Math.Abs(x)),
            GateFunctionKind.Tanh => Math.Tanh(x),
            _ => x > alpha ? x : 0,
        };
    }
}
