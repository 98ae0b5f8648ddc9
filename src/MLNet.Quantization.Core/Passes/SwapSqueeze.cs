using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Squeeze right behind a convolution, then arithmetic with a constant, change places, so that the arithmetic can go into the
/// convolution. Convolutions over one axis are often written as ones over two.
/// </summary>
internal static class SwapSqueeze
{
    /// <param name="graph">Of operator set 13 or later, in topological order.</param>
    public static ModelGraph Apply(ModelGraph graph)
    {
        while (Edit(new(graph)) is { } patch) graph = patch.Apply();
        return graph;
    }

    private static GraphPatch? Edit(GraphIndex index)
    {
        foreach (var squeeze in index.Graph.Nodes)
        {
            if (squeeze is not { Domain: "", OpType: "Squeeze" } || index.Constant(squeeze.Input(1)) is not { } axes || index.OnlyConsumerOf(squeeze.Inputs[0]) is null) continue;
            if (index.Producers.GetValueOrDefault(squeeze.Inputs[0]) is not { Domain: "", OpType: "Conv" or "ConvTranspose" } conv || index.Constant(conv.Inputs[1]) is not { } weights) continue;
            string squeezed = squeeze.Outputs[0];
            if (index.OnlyConsumerOf(squeezed) is not { Domain: "", OpType: "Add" or "Sub" or "Mul" or "Div", Inputs: [var a, var b] } next) continue;
            int side = a == squeezed ? 1 : 0;
            if (index.Constant(side == 1 ? b : a) is not { Type: ElementType.Float } constant || Unsqueezed(constant, axes.ToInt64s(), weights.Rank) is not { } whole) continue;
            var patch = new GraphPatch(index.Graph);
            string name = patch.NewName($"{next.DisplayName}_whole"), value = patch.NewName($"{next.DisplayName}_unsqueezed");
            patch.SetInitializer(name, whole);
            return patch.Replace(next, next with { Inputs = side == 1 ? [conv.Outputs[0], name] : [name, conv.Outputs[0]], Outputs = [value] })
                .Replace(squeeze, squeeze with { Inputs = squeeze.Inputs.SetItem(0, value), Outputs = next.Outputs });
        }
        return null;
    }

    /// <summary>The constant with an extent of 1 on each axis that was squeezed; null where it has more axes than what it meets.</summary>
    private static Tensor? Unsqueezed(Tensor constant, long[] axes, int rank)
    {
        var dims = new int[rank];
        foreach (long axis in axes)
        {
            if (axis < -rank || axis >= rank) return null;
            dims[axis < 0 ? axis + rank : axis] = 1;
        }
        int from = constant.Rank;
        for (int i = rank - 1; i >= 0; i--)
            if (dims[i] == 0) dims[i] = from > 0 ? constant.Dims[--from] : 1;
        return from > 0 || dims.Aggregate(1L, (n, d) => n * d) != constant.Count ? null : new(constant.Type, dims, constant.Bytes);
    }
}
