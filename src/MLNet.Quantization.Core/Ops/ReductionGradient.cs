using System.Numerics;

namespace MLNet.Quantization.Ops;

/// <summary>Sums and means over axes: the gradient of a result goes to each element that it is made of.</summary>
internal static class ReductionGradient
{
    /// <summary>For each element of x the element of y that it goes into, and what it is multiplied by.</summary>
    private sealed record Form(int[] Results, int Count);

    /// <param name="node">The node.</param>
    /// <param name="axes">Those that are reduced.</param>
    /// <param name="isMean">Divided by the number of elements.</param>
    public static void Forward<T>(TapeNode<T> node, IReadOnlySet<int> axes, bool isMean) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var (results, count) = FormOf(node, axes);
        T[] x = node.Input(0).Data, y = node.Output().Data;
        Array.Clear(y);
        for (int i = 0; i < x.Length; i++) y[results[i]] += x[i];
        if (!isMean) return;
        for (int i = 0; i < y.Length; i++) y[i] /= T.CreateChecked(count);
    }

    /// <inheritdoc cref="Forward"/>
    public static void Backward<T>(TapeNode<T> node, IReadOnlySet<int> axes, bool isMean) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.InputGradient(0) is not { } gradient) return;
        var (results, count) = FormOf(node, axes);
        T divisor = isMean ? T.CreateChecked(count) : T.One;
        for (int i = 0; i < results.Length; i++) gradient.Data[i] += node.OutputGradient().Data[results[i]] / divisor;
    }

    private static Form FormOf<T>(TapeNode<T> node, IReadOnlySet<int> axes) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.State is Form known) return known;
        int[] dims = node.Input(0).Dims, results = new int[node.Input(0).Count];
        for (int i = 0; i < results.Length; i++)
            for (int axis = dims.Length - 1, rest = i, stride = 1; axis >= 0; axis--)
            {
                (rest, int at) = Math.DivRem(rest, dims[axis]);
                if (axes.Contains(axis)) continue;
                results[i] += at * stride;
                stride *= dims[axis];
            }
        var form = new Form(results, results.Length / Math.Max(1, node.Output().Count));
        node.State = form;
        return form;
    }
}
