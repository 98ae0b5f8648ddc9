using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Passes;

/// <summary>Computes nodes whose inputs are all constants, with the steps that would score them.</summary>
internal static class FoldConstants
{
    /// <param name="graph">In topological order.</param>
    /// <param name="keepDequantize">Leave DequantizeLinear alone, so that quantized weights stay quantized.</param>
    public static ModelGraph Apply(ModelGraph graph, bool keepDequantize = true)
    {
        var patch = new GraphPatch(graph);
        var constants = graph.Initializers.ToDictionary(StringComparer.Ordinal);
        foreach (var node in graph.Nodes)
        {
            if (keepDequantize && node.OpType == "DequantizeLinear" || node.Captures().Count > 0 || node.Attributes.Any(a => a.Value is ModelGraph)) continue;
            if (!node.Inputs.All(i => i.Length == 0 || constants.ContainsKey(i)) || !OperatorSet.Supports(node)) continue;
            if (node.Outputs.Any(graph.IsOutput)) continue;
            var context = new OpContext(node, graph.Opset, [.. node.Inputs.Select(i => i.Length == 0 ? null : ValueFact.Of(constants[i]))]);
            var op = OperatorSet.For(node);
            if (op.Infer(context).Any(f => f.Shape is not { IsKnown: true } || f.Type.SizeOf() == 0)) continue;
            var values = Evaluator.Evaluate(op, context);
            for (int i = 0; i < node.Outputs.Length; i++)
                if (node.Outputs[i].Length > 0) patch.SetInitializer(node.Outputs[i], constants[node.Outputs[i]] = values[i]);
            patch.Remove(node);
        }
        return patch.Apply();
    }
}
