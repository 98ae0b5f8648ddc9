using System.Numerics;

namespace MLNet.Quantization.Ops;

internal sealed partial class AveragePool : IDifferentiable
{
    /// <param name="Runs">Of the windows.</param>
    /// <param name="Counts">For each output pixel how many elements its mean is of.</param>
    private sealed record Form(WindowRuns Runs, int[] Counts);

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var (runs, counts) = FormOf(node);
        var columns = node.Scratch(0, runs.Taps * runs.Pixels);
        columns.Clear();
        for (int plane = 0; plane < node.Output().Count / Math.Max(1, runs.Pixels); plane++)
        {
            runs.Unfold(node.Input(0).Data.AsSpan(plane * runs.Plane, runs.Plane), columns);
            var y = node.Output().Data.AsSpan(plane * runs.Pixels, runs.Pixels);
            y.Clear();
            for (int tap = 0; tap < runs.Taps; tap++) Vectors.Add(columns.Slice(tap * runs.Pixels, runs.Pixels), y);
            for (int i = 0; i < y.Length; i++) y[i] /= T.CreateChecked(counts[i]);
        }
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.InputGradient(0) is not { } gradient) return;
        var (runs, counts) = FormOf(node);
        var columns = node.Scratch(1, runs.Taps * runs.Pixels);
        for (int plane = 0; plane < node.Output().Count / Math.Max(1, runs.Pixels); plane++)
        {
            var first = columns[..runs.Pixels];
            for (int i = 0; i < first.Length; i++) first[i] = node.OutputGradient().Data[(plane * runs.Pixels) + i] / T.CreateChecked(counts[i]);
            for (int tap = 1; tap < runs.Taps; tap++) first.CopyTo(columns[(tap * runs.Pixels)..]);
            runs.Fold<T>(columns, gradient.Data.AsSpan(plane * runs.Plane, runs.Plane));
        }
    }

    private static Form FormOf<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.State is Form known) return known;
        var runs = WindowRuns.Of(PoolShape.Resolve(node.Context, node.Input(0).Dims));
        int[] pixels = runs.Pixel(), counts = new int[runs.Pixels];
        bool countsPads = node.Context.Attribute("count_include_pad", 0L) != 0;
        for (int i = 0; i < pixels.Length; i++)
            if (countsPads || pixels[i] >= 0) counts[i % runs.Pixels]++;
        var form = new Form(runs, counts);
        node.State = form;
        return form;
    }
}
