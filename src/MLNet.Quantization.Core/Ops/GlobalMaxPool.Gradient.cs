using System.Numerics;

namespace MLNet.Quantization.Ops;

// The gradient of a plane goes to its first greatest element.
internal sealed partial class GlobalMaxPool : IDifferentiable
{
    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var y = node.Output().Data;
        var chosen = ChosenOf(node);
        int plane = y.Length == 0 ? 0 : node.Input(0).Count / y.Length;
        for (int i = 0; i < y.Length; i++)
        {
            ReadOnlySpan<T> x = node.Input(0).Data.AsSpan(i * plane, plane);
            int best = 0;
            for (int at = 1; at < x.Length; at++)
                if (x[at] > x[best]) best = at;
            chosen[i] = (i * plane) + best;
            y[i] = plane == 0 ? T.NegativeInfinity : x[best];
        }
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.InputGradient(0) is not { Count: > 0 } gradient) return;
        var (chosen, g) = (ChosenOf(node), node.OutputGradient().Data);
        for (int i = 0; i < chosen.Length; i++) gradient.Data[chosen[i]] += g[i];
    }

    /// <summary>For each plane the element that its maximum came from.</summary>
    private static int[] ChosenOf<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => (int[])(node.State ??= new int[node.Output().Count]);
}
