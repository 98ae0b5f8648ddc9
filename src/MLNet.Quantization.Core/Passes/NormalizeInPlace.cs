using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Passes;

/// <summary>
/// BatchNormalization between a Transpose that puts the last axis where it wants its channels and one that puts it back, as exporters of
/// transformers write it, or of vectors: x · s + t along the last axis, of the same bits, without either.
/// </summary>
internal static class NormalizeInPlace
{
    /// <param name="graph">In topological order.</param>
    /// <param name="facts">What is known of its values.</param>
    public static ModelGraph Apply(ModelGraph graph, IReadOnlyDictionary<string, ValueFact> facts)
    {
        var patch = new GraphPatch(graph);
        var index = new GraphIndex(graph);
        foreach (var node in graph.Nodes)
        {
            if (node is not { OpType: "BatchNormalization", Domain: "" } || node.Attributes.Get("training_mode", 0L) != 0) continue;
            var after = index.OnlyConsumerOf(node.Outputs[0]);
            string? source = facts[node.Inputs[0]].Shape?.Rank == 2 ? node.Inputs[0] : BeforeTransposes(index, node, after);
            if (source is null || Factors(index, node) is not { } factors) continue;
            string result = source == node.Inputs[0] ? node.Outputs[0] : after!.Outputs[0];
            if (result != node.Outputs[0]) patch.Remove(after!);
            string stem = node.DisplayName, scale = patch.NewName($"{stem}_scale"), shift = patch.NewName($"{stem}_shift"), scaled = patch.NewName($"{stem}_scaled");
            patch.SetInitializer(scale, factors.Scale).SetInitializer(shift, factors.Shift);
            patch.Replace(node, Node.Create(patch.NewName($"{stem}_Mul"), "Mul", [source, scale], [scaled]), Node.Create(patch.NewName($"{stem}_Add"), "Add", [scaled, shift], [result]));
        }
        return patch.IsEmpty ? graph : RemoveDeadNodes.Apply(patch.Apply());
    }

    /// <summary>What the Transpose before reads, where it brings the last axis to the channels' place and the one behind brings it back.</summary>
    private static string? BeforeTransposes(GraphIndex index, Node node, Node? after)
    {
        if (index.ProducerOf(node.Inputs[0], "Transpose") is not { } before || after is not { OpType: "Transpose", Domain: "" }) return null;
        var to = before.Attributes.Get("perm", ImmutableArray<long>.Empty);
        var back = after.Attributes.Get("perm", ImmutableArray<long>.Empty);
        bool matches = to.Length >= 2 && back.Length == to.Length && to[1] == to.Length - 1 && back.Select((from, i) => to[(int)from] == i).All(same => same);
        return matches ? before.Inputs[0] : null;
    }

    /// <summary>s = scale / √(variance + epsilon) and t = bias - mean · s, as the operator computes them; null where they are not constant.</summary>
    private static (Tensor Scale, Tensor Shift)? Factors(GraphIndex index, Node node)
    {
        var parts = node.Inputs.Skip(1).Select(index.Constant).ToList();
        if (parts is not [{ } scale, { } bias, { } mean, { } variance] || parts.Any(p => p!.Type != ElementType.Float || p.Rank != 1 || p.Count != scale.Count)) return null;
        float epsilon = node.Attributes.Get("epsilon", 1e-5f);
        float[] s = new float[scale.Count], t = new float[scale.Count];
        for (int c = 0; c < s.Length; c++) (s[c], t[c]) = BatchNormalization.FactorsOf(scale.Span<float>()[c], bias.Span<float>()[c], mean.Span<float>()[c], variance.Span<float>()[c], epsilon);
        return (Tensor.Create(s, s.Length), Tensor.Create(t, t.Length));
    }
}
