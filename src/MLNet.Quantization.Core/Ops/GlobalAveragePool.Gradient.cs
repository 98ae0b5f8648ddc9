using System.Numerics;

namespace MLNet.Quantization.Ops;

internal sealed partial class GlobalAveragePool : IDifferentiable
{
    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var y = node.Output().Data;
        int plane = y.Length == 0 ? 0 : node.Input(0).Count / y.Length;
        for (int i = 0; i < y.Length; i++) y[i] = Vectors.Sum<T>(node.Input(0).Data.AsSpan(i * plane, plane)) / T.CreateChecked(plane);
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.InputGradient(0) is not { } gradient) return;
        var g = node.OutputGradient().Data;
        int plane = g.Length == 0 ? 0 : gradient.Count / g.Length;
        for (int i = 0; i < g.Length; i++) Vectors.AddTo(g[i] / T.CreateChecked(plane), gradient.Data.AsSpan(i * plane, plane));
    }
}
