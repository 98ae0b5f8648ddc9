using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Ops.Quantized;

namespace MLNet.Quantization.Passes;

/// <summary>Turns Gather from a table of codes into the engine's operator, so that only the rows that are picked become floats.</summary>
internal static class LowerEmbeddings
{
    public static ModelGraph Apply(ModelGraph graph)
    {
        var patch = new GraphPatch(graph);
        var index = new GraphIndex(graph);
        foreach (var node in graph.Nodes)
        {
            if (EmbeddingLayer.MatchQuantized(index, node) is not { } table) continue;
            string codes = table.Name ?? patch.NewName($"{node.DisplayName}_codes"), scales = patch.NewName($"{node.DisplayName}_scales");
            patch.SetInitializer(codes, table.Codes).SetInitializer(scales, Tensor.Create(table.Scales, table.Scales.Length));
            patch.Replace(node, new Node(node.Name, nameof(QuantizedGather), [codes, node.Inputs[1], scales], node.Outputs) { Domain = OperatorSet.EngineDomain });
        }
        return patch.Apply();
    }
}
