using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Writes N for a leading 1 in all inputs and outputs, and lets Reshape keep the leading extent of its input where its constant target
/// begins with 1. Whether the result computes rows independently is for the caller to check.
/// </summary>
internal static class SymbolicBatch
{
    public const string Symbol = "N";

    /// <summary>The changed graph, or null where an input does not begin with 1.</summary>
    public static ModelGraph? TryApply(ModelGraph graph)
    {
        if (graph.Inputs.Length == 0 || !graph.Inputs.All(BeginsWithOne)) return null;
        var patch = new GraphPatch(graph);
        foreach (var node in graph.Nodes)
        {
            if (node.OpType != "Reshape" || node.Domain.Length > 0 || !graph.Initializers.TryGetValue(node.Inputs[1], out var target)) continue;
            long[] dims = target.ToInt64s();
            if (dims.Length == 0 || dims[0] != 1) continue;
            // 0 keeps the extent; where 0 means 0, -1 does if no other axis takes it.
            bool zeroKeeps = node.Attributes.Get("allowzero", 0L) == 0;
            if (!zeroKeeps && dims.Contains(-1)) return null;
            dims[0] = zeroKeeps ? 0 : -1;
            string name = patch.NewName($"{node.Inputs[1]}_batch");
            patch.SetInitializer(name, Tensor.Create(dims, dims.Length)).Replace(node, node with { Inputs = node.Inputs.SetItem(1, name) });
        }
        return patch.Apply() with { Inputs = [.. graph.Inputs.Select(Rename)], Outputs = [.. graph.Outputs.Select(o => BeginsWithOne(o) ? Rename(o) : o)] };
    }

    private static bool BeginsWithOne(ValueInfo value) => value.Shape is { Rank: > 0 } shape && shape[0] == 1;

    private static ValueInfo Rename(ValueInfo value)
    {
        var dims = value.Shape!.Dims.ToArray();
        dims[0] = new(Symbol);
        return value with { Shape = new(dims) };
    }
}
