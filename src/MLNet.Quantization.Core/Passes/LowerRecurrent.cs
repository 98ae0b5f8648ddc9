using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Ops.Quantized;

namespace MLNet.Quantization.Passes;

/// <summary>Turns recurrent layers between quantizers into the engine's INT8 operators.</summary>
internal static class LowerRecurrent
{
    public static ModelGraph Apply(ModelGraph graph, bool isDynamic)
    {
        var patch = new GraphPatch(graph);
        var index = new GraphIndex(graph);
        foreach (var node in graph.Nodes.Where(RecurrentLayer.IsCandidate))
        {
            if (QuantizedRecurrentPattern.Match(index, node, isDynamic, out _) is not { } layer) continue;
            var attributes = node.Attributes;
            if (layer.Input is { } input) attributes = attributes.With("input_scale", input.Affine.Scale).With("input_zero_point", input.Affine.ZeroPoint);
            long directions = attributes.Get("direction", "forward") == "bidirectional" ? 2 : 1;
            string x = layer.Dequantize?.Inputs[0] ?? node.Inputs[0];
            var outputs = node.Outputs;
            if (BatchFirst(index, patch, node, x) is { } turned)
            {
                (x, outputs) = turned;
                attributes = attributes.With("layout", 1);
            }
            string[] inputs =
            [
                x, Codes(patch, node, "W", layer.W, directions), Codes(patch, node, "R", layer.R, directions),
                Scales(patch, node, "W", layer.W), Scales(patch, node, "R", layer.R), .. node.Inputs.Skip(3),
            ];
            patch.Replace(node, new Node(node.Name, QuantizedRecurrent.TypeOf(node.OpType), [.. inputs], outputs) { Domain = OperatorSet.EngineDomain, Attributes = attributes });
        }
        return patch.Apply();
    }

    /// <summary>
    /// Where the input is turned from batch first and the only result is turned back, the engine's operator does without: input and
    /// outputs of the form with layout 1.
    /// </summary>
    private static (string X, ImmutableArray<string> Outputs)? BatchFirst(GraphIndex index, GraphPatch patch, Node node, string x)
    {
        if (node.Attributes.Get("layout", 0L) != 0 || node.Inputs.Skip(FirstState).Any(i => i.Length > 0)) return null;
        if (index.ProducerOf(x, "Transpose") is not { } before || !IsPermutation(before, 1, 0, 2)) return null;
        var read = node.Outputs.Where(o => o.Length > 0 && (index.Graph.IsOutput(o) || index.Consumers[o].Any())).ToList();
        if (read is not [var only] || node.Outputs.IndexOf(only) > 1 || index.OnlyConsumerOf(only) is not { OpType: "Transpose", Domain: "" } after) return null;
        bool isLast = node.Outputs.IndexOf(only) == 1;
        if (!(isLast ? IsPermutation(after, 1, 0, 2) : IsPermutation(after, 2, 0, 1, 3))) return null;
        patch.Remove(after);
        return (before.Inputs[0], isLast ? ["", after.Outputs[0]] : [after.Outputs[0]]);
    }

    /// <summary>Of the standard's inputs, initial_h: behind it, positions of LSTM are states and peepholes.</summary>
    private const int FirstState = 5;

    private static bool IsPermutation(Node transpose, params ReadOnlySpan<long> order) => transpose.Attributes.Get("perm", ImmutableArray<long>.Empty).AsSpan().SequenceEqual(order);

    private static string Codes(GraphPatch patch, Node node, string part, QuantizedConstant weights, long directions)
    {
        string name = patch.NewName($"{node.DisplayName}_{part}_codes");
        int[] dims = weights.Codes.Dims;
        patch.SetInitializer(name, Tensor.Create(weights.Codes.Span<sbyte>(), (int)directions, dims[0] / (int)directions, dims[1]));
        return name;
    }

    private static string Scales(GraphPatch patch, Node node, string part, QuantizedConstant weights)
    {
        string name = patch.NewName($"{node.DisplayName}_{part}_scales");
        patch.SetInitializer(name, Tensor.Create(weights.Scales, weights.Scales.Length));
        return name;
    }
}
