using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Pad with zeros on spatial axes goes into the pads of the Conv behind it; of a MaxPool, too, where what is padded is never negative and no
/// window sees padding alone, so that a zero and nothing give the same maximum.
/// </summary>
internal static class FoldPad
{
    /// <param name="graph">Of operator set 13 or later, in topological order.</param>
    public static ModelGraph Apply(ModelGraph graph)
    {
        var index = new GraphIndex(graph);
        var patch = new GraphPatch(graph);
        foreach (var node in graph.Nodes)
        {
            if (node is not { Domain: "", OpType: "Conv" or "MaxPool", Outputs: [_] } || index.ProducerOf(node.Inputs[0], "Pad") is not { } pad) continue;
            int spatial = SpatialAxes(index, node);
            if (spatial > 0 && PadsOf(index, pad, spatial) is { } added && PadsOf(node, spatial) is { } own && (node.OpType == "Conv" || ZerosAreNothing(index, node, pad, added)))
            {
                var pads = own.Zip(added, (a, b) => a + b).ToImmutableArray();
                patch.Replace(node, node with { Inputs = node.Inputs.SetItem(0, pad.Inputs[0]), Attributes = node.Attributes.Without("auto_pad").With("pads", pads) });
            }
        }
        return patch.IsEmpty ? graph : RemoveDeadNodes.Apply(patch.Apply());
    }

    private static int SpatialAxes(GraphIndex index, Node node) => node.OpType == "Conv"
        ? (index.Constant(node.Inputs[1])?.Rank ?? 0) - 2
        : node.Attributes.Get("kernel_shape", ImmutableArray<long>.Empty).Length;

    /// <summary>What the layer pads itself, before all spatial axes and then behind them; null where that depends on its input.</summary>
    private static long[]? PadsOf(Node node, int spatial)
    {
        if (node.Attributes.Get("auto_pad", "NOTSET") is not ("NOTSET" or "VALID") || node.Attributes.Get("ceil_mode", 0L) != 0) return null;
        var pads = node.Attributes.Get("pads", ImmutableArray<long>.Empty);
        return pads.IsEmpty ? new long[2 * spatial] : pads.Length == 2 * spatial ? [.. pads] : null;
    }

    /// <summary>The zeros that are added, before all spatial axes and then behind them; null where anything else happens.</summary>
    private static long[]? PadsOf(GraphIndex index, Node pad, int spatial)
    {
        if (pad.Attributes.Get("mode", "constant") != "constant" || index.Constant(pad.Input(1)) is not { } constant) return null;
        if (pad.Input(2) is { } value && !(index.Constant(value) is { Type: ElementType.Float, Count: 1 } number && number.Span<float>()[0] == 0)) return null;
        int rank = spatial + 2;
        long[] pads = constant.ToInt64s(), axes = [.. Enumerable.Range(0, rank).Select(a => (long)a)];
        if (pad.Input(3) is { } name)
        {
            if (index.Constant(name) is not { } given) return null;
            axes = Array.ConvertAll(given.ToInt64s(), a => a < 0 ? a + rank : a);
        }
        if (pads.Length != 2 * axes.Length || pads.Any(p => p < 0)) return null;
        long[] result = new long[2 * spatial];
        for (int i = 0; i < axes.Length; i++)
        {
            long before = pads[i], behind = pads[i + axes.Length];
            if (axes[i] < 2 && before + behind > 0 || axes[i] >= rank) return null;
            if (axes[i] >= 2) (result[axes[i] - 2], result[axes[i] - 2 + spatial]) = (before, behind);
        }
        return result;
    }

    private static bool ZerosAreNothing(GraphIndex index, Node pool, Node pad, long[] added)
    {
        var kernel = pool.Attributes.Get("kernel_shape", ImmutableArray<long>.Empty);
        var own = pool.Attributes.Get("pads", ImmutableArray<long>.Empty);
        var dilations = pool.Attributes.Get("dilations", ImmutableArray<long>.Empty);
        if (own.Any(p => p != 0) || dilations.Any(d => d != 1) || added.Index().Any(p => p.Item >= kernel[p.Index % kernel.Length])) return false;
        return index.Producers.GetValueOrDefault(pad.Inputs[0]) is { Domain: "" } source && source.OpType switch
        {
            "Relu" or "Sigmoid" or "HardSigmoid" or "Softplus" => true,
            "Clip" => index.Constant(source.Input(1)) is { Type: ElementType.Float, Count: 1 } low && low.Span<float>()[0] >= 0,
            _ => false,
        };
    }
}
