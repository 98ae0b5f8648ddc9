using System.Numerics;

namespace MLNet.Quantization.Ops;

// ∂L/∂x = y · (g - Σ g · y) along each row.
internal sealed partial class Softmax : IDifferentiable
{
    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (ForwardAsScored(node)) return;
        var (length, stride) = RowsOf(node);
        T[] x = node.Input(0).Data, y = node.Output().Data;
        for (int row = 0; row < x.Length / Math.Max(1, length); row++)
        {
            int from = FirstOf(row, length, stride);
            T greatest = T.NegativeInfinity, sum = T.Zero;
            for (int i = 0; i < length; i++) greatest = T.Max(greatest, x[from + (i * stride)]);
            for (int i = 0; i < length; i++) sum += y[from + (i * stride)] = T.Exp(x[from + (i * stride)] - greatest);
            for (int i = 0; i < length; i++) y[from + (i * stride)] /= sum;
        }
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.InputGradient(0) is not { } gradient) return;
        var (length, stride) = RowsOf(node);
        T[] y = node.Output().Data, g = node.OutputGradient().Data;
        for (int row = 0; row < y.Length / Math.Max(1, length); row++)
        {
            int from = FirstOf(row, length, stride);
            T sum = T.Zero;
            for (int i = 0; i < length; i++) sum += g[from + (i * stride)] * y[from + (i * stride)];
            for (int i = 0; i < length; i++) gradient.Data[from + (i * stride)] += y[from + (i * stride)] * (g[from + (i * stride)] - sum);
        }
    }
}
