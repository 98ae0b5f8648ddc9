using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>What lies between layers as ONNX Runtime's operators on codes: sums, products, means, and the functions that it has as tables.</summary>
internal static class WriteCodes
{
    /// <summary>There each has "QLinear" before its name.</summary>
    private static readonly ImmutableHashSet<string> Written = ImmutableHashSet.Create(
        StringComparer.Ordinal, "Add", "AveragePool", "GlobalAveragePool", "LeakyRelu", "Mul", "Sigmoid");

    public static ModelGraph Apply(ModelGraph graph)
    {
        var patch = new GraphPatch(graph);
        var index = new GraphIndex(graph);
        var constants = new CodeConstants(patch);
        foreach (var node in graph.Nodes)
        {
            if (node.Domain.Length > 0 || !Written.Contains(node.OpType) || !HasAttributesOf(node) || Epilogue.Match(index, node) is not { } end) continue;
            var inputs = new List<string>();
            foreach (string value in node.Inputs)
            {
                var dequantize = index.ProducerOf(value, "DequantizeLinear");
                if (QuantizedValue.PerTensor(index, dequantize) is not { } codes || codes.Type != end.Output.Type || index.Constant(dequantize!.Inputs[0]) is not null) break;
                inputs.AddRange([dequantize.Inputs[0], constants.Scale(codes), constants.Zero(codes)]);
            }
            if (inputs.Count != 3 * node.Inputs.Length) continue;
            inputs.AddRange([constants.Scale(end.Output), constants.Zero(end.Output)]);
            foreach (var absorbed in end.Nodes) patch.Remove(absorbed);
            patch.Replace(node, new Node(node.Name, $"QLinear{node.OpType}", [.. inputs], [WriteQOperator.Bounded(patch, constants, end)]) { Domain = WriteQOperator.RuntimeDomain, Attributes = node.Attributes });
        }
        return patch.Apply();
    }

    /// <summary>False where the mean has an attribute that came to the standard after ONNX Runtime's operator.</summary>
    private static bool HasAttributesOf(Node node) => node.Attributes.Get("dilations", ImmutableArray<long>.Empty).All(d => d == 1) || node.OpType != "AveragePool";
}
