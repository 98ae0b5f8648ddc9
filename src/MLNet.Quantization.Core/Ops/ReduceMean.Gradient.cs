using System.Numerics;

namespace MLNet.Quantization.Ops;

internal sealed partial class ReduceMean : IDifferentiable
{
    /// <summary>For each element of x the element of y that it goes into; and of how many that is the mean.</summary>
    private sealed record Form(int[] Results, int Count);

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var (results, count) = FormOf(node);
        T[] x = node.Input(0).Data, y = node.Output().Data;
        Array.Clear(y);
        for (int i = 0; i < x.Length; i++) y[results[i]] += x[i];
        for (int i = 0; i < y.Length; i++) y[i] /= T.CreateChecked(count);
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.InputGradient(0) is not { } gradient) return;
        var (results, count) = FormOf(node);
        for (int i = 0; i < results.Length; i++) gradient.Data[i] += node.OutputGradient().Data[results[i]] / T.CreateChecked(count);
    }

    private Form FormOf<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.State is Form known) return known;
        int[] dims = node.Input(0).Dims, results = new int[node.Input(0).Count];
        var reduced = ReducedAxes(node.Context, dims.Length);
        for (int i = 0; i < results.Length; i++)
            for (int axis = dims.Length - 1, rest = i, stride = 1; axis >= 0; axis--)
            {
                (rest, int at) = Math.DivRem(rest, dims[axis]);
                if (reduced.Contains(axis)) continue;
                results[i] += at * stride;
                stride *= dims[axis];
            }
        var form = new Form(results, results.Length / Math.Max(1, node.Output().Count));
        node.State = form;
        return form;
    }
}
