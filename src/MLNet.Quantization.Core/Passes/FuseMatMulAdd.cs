using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Passes;

/// <summary>MatMul of a matrix with a constant matrix, then Add of a constant row, becomes Gemm.</summary>
internal static class FuseMatMulAdd
{
    public static ModelGraph Apply(ModelGraph graph, IReadOnlyDictionary<string, ValueFact> facts)
    {
        var patch = new GraphPatch(graph);
        var consumers = graph.Consumers();
        foreach (var node in graph.Nodes)
        {
            if (node.Domain.Length > 0 || node.OpType != "MatMul" || graph.IsOutput(node.Outputs[0])) continue;
            if (facts[node.Inputs[0]].Shape is not { Rank: 2 } || !graph.Initializers.TryGetValue(node.Inputs[1], out var weights) || weights.Rank != 2) continue;
            var readers = consumers[node.Outputs[0]].ToList();
            if (readers is not [{ OpType: "Add", Domain: "" } add]) continue;
            string other = add.Inputs[add.Inputs[0] == node.Outputs[0] ? 1 : 0];
            if (!graph.Initializers.TryGetValue(other, out var bias) || bias.Count != weights.Dims[1] || bias.Rank == 0 || bias.Rank > 2 || bias.Dims[^1] != bias.Count) continue;
            patch.Remove(add).Replace(node, node with { OpType = "Gemm", Inputs = [node.Inputs[0], node.Inputs[1], other], Outputs = add.Outputs });
        }
        return patch.Apply();
    }
}
