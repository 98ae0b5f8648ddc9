using System.Numerics;

namespace MLNet.Quantization.Ops;

// The gradient of a window goes to its first greatest element.
internal sealed partial class MaxPool : IDifferentiable
{
    /// <param name="Pixels">For each tap and output pixel the pixel of the plane, or -1.</param>
    /// <param name="Taps">Of the window.</param>
    /// <param name="Plane">Elements of a plane.</param>
    /// <param name="Chosen">For each element of the output the pixel that it came from, or -1.</param>
    private sealed record Form(int[] Pixels, int Taps, int Plane, int[] Chosen);

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var (pixels, taps, plane, chosen) = FormOf(node);
        T[] x = node.Input(0).Data, y = node.Output().Data;
        int count = pixels.Length / taps;
        for (int i = 0; i < y.Length; i++)
        {
            int from = i / count * plane, best = -1;
            for (int at = i % count; at < pixels.Length; at += count)
                if (pixels[at] >= 0 && (best < 0 || x[from + pixels[at]] > x[from + best])) best = pixels[at];
            chosen[i] = best < 0 ? -1 : from + best;
            y[i] = best < 0 ? T.NegativeInfinity : x[from + best];
        }
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.InputGradient(0) is not { } gradient) return;
        int[] chosen = FormOf(node).Chosen;
        for (int i = 0; i < chosen.Length; i++)
            if (chosen[i] >= 0) gradient.Data[chosen[i]] += node.OutputGradient().Data[i];
    }

    private static Form FormOf<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.State is Form known) return known;
        var runs = WindowRuns.Of(PoolShape.Resolve(node.Context, node.Input(0).Dims));
        var form = new Form(runs.Pixel(), runs.Taps, runs.Plane, new int[node.Output().Count]);
        node.State = form;
        return form;
    }
}
