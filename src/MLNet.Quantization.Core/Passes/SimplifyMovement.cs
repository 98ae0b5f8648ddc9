using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Removes movement that moves nothing (Reshape, Expand, Slice, Cast, ... to what was there), chains of reshapes that lead back, and pairs
/// of transposes; makes one of a chain where one does; writes down a shape that is computed but known. What makes a graph output stays.
/// </summary>
internal static class SimplifyMovement
{
    /// <param name="graph">Of operator set 13 or later, in topological order.</param>
    /// <param name="facts">What is known of its values; what is not known stays as it is.</param>
    public static ModelGraph Apply(ModelGraph graph, IReadOnlyDictionary<string, ValueFact> facts)
    {
        // Names keep their meaning, so the facts stay true.
        while (Edit(new(graph), facts) is { } patch) graph = RemoveDeadNodes.Apply(patch.Apply());
        return graph;
    }

    private static GraphPatch? Edit(GraphIndex index, IReadOnlyDictionary<string, ValueFact> facts)
    {
        foreach (var node in index.Graph.Nodes)
        {
            if (node.Domain.Length > 0 || node.Outputs.Length != 1 || node.Inputs.Length == 0) continue;
            if (!index.Graph.IsOutput(node.Outputs[0]) && SameAs(index, facts, node) is { } source)
                return new GraphPatch(index.Graph).Remove(node).RenameUses(node.Outputs[0], source);
            var patch = new GraphPatch(index.Graph);
            if (Shortened(index, node) is { } shorter) return patch.Replace(node, shorter);
            if (WithKnownTarget(index, facts, patch, node) is { } known) return patch.Replace(node, known);
            if (Swapped(index, patch, node) is { } swapped) return patch.Replace(node, swapped);
        }
        return null;
    }

    /// <summary>An earlier value that the node's output surely equals, or null.</summary>
    private static string? SameAs(GraphIndex index, IReadOnlyDictionary<string, ValueFact> facts, Node node)
    {
        string x = node.Inputs[0], y = node.Outputs[0];
        switch (node.OpType)
        {
            case "Expand" when SameShape(facts, x, y):
                return x;
            case "Slice":
                return TakesAll(index, facts, node) ? x : null;
            case "Cast" when facts.GetValueOrDefault(x) is { } from && facts.GetValueOrDefault(y) is { } to && from.Type == to.Type && from.Type != ElementType.Undefined:
                return x;
            case "Concat" when node.Inputs.Length == 1:
                return x;
            case "Transpose" when PermOf(node) is { } perm:
                if (IsIdentity(perm)) return x;
                return index.ProducerOf(x, "Transpose") is { } first && PermOf(first) is { } before && Compose(before, perm) is { } both && IsIdentity(both) ? first.Inputs[0] : null;
        }
        for (var reshape = node; IsReshape(reshape);)
        {
            if (SameShape(facts, reshape.Inputs[0], y)) return reshape.Inputs[0];
            if (index.Producers.GetValueOrDefault(reshape.Inputs[0]) is not { } earlier) return null;
            reshape = earlier;
        }
        return null;
    }

    /// <summary>One node instead of two, or null.</summary>
    private static Node? Shortened(GraphIndex index, Node node)
    {
        if (index.Producers.GetValueOrDefault(node.Inputs[0]) is not { } earlier) return null;
        if (node.OpType == "Transpose" && earlier is { Domain: "", OpType: "Transpose" })
            return PermOf(node) is { } second && PermOf(earlier) is { } first && Compose(first, second) is { } both ? WithPerm(node, earlier.Inputs[0], node.Outputs[0], both) : null;
        // 0 takes the extent of the input, which would be another.
        if (node.OpType != "Reshape" || !IsReshape(earlier) || index.Constant(node.Inputs[1]) is not { } target || target.ToInt64s().Contains(0)) return null;
        return node with { Inputs = node.Inputs.SetItem(0, earlier.Inputs[0]) };
    }

    /// <summary>
    /// Reshape to a computed shape of which all is known but extents that stay where they are, and perhaps one more: a constant does, and
    /// what computed it need not read the data.
    /// </summary>
    private static Node? WithKnownTarget(GraphIndex index, IReadOnlyDictionary<string, ValueFact> facts, GraphPatch patch, Node node)
    {
        if (node.OpType != "Reshape" || index.Constant(node.Inputs[1]) is not null) return null;
        if (facts.GetValueOrDefault(node.Inputs[0])?.Shape is not { } from || facts.GetValueOrDefault(node.Outputs[0])?.Shape is not { } to) return null;
        long[] target = [.. to.Select((d, axis) => d.IsKnown ? d.Value : axis < from.Rank && from[axis].SurelyEquals(d) ? 0 : -1)];
        if (target.Count(t => t == -1) > 1 || to.Any(d => d.IsKnown && d.Value == 0)) return null;
        string name = patch.NewName($"{node.DisplayName}_target");
        patch.SetInitializer(name, Tensor.Create(target, target.Length));
        return node with { Inputs = [node.Inputs[0], name], Attributes = node.Attributes.Without("allowzero") };
    }

    /// <summary>Transpose, Unsqueeze of a last axis, Transpose that leaves it there: the transposes come together.</summary>
    private static Node[]? Swapped(GraphIndex index, GraphPatch patch, Node node)
    {
        if (node.OpType != "Transpose" || PermOf(node) is not { Length: > 1 } perm || perm[^1] != perm.Length - 1) return null;
        if (index.ProducerOf(node.Inputs[0], "Unsqueeze") is not { } unsqueeze || index.ProducerOf(unsqueeze.Inputs[0], "Transpose") is null
            || index.OnlyConsumerOf(node.Inputs[0]) is null) return null;
        if (index.Constant(unsqueeze.Input(1))?.ToInt64s() is not [var axis] || axis != -1 && axis != perm.Length - 1) return null;
        string name = patch.NewName($"{node.DisplayName}_first");
        return [WithPerm(node, unsqueeze.Inputs[0], name, perm[..^1]), unsqueeze with { Inputs = unsqueeze.Inputs.SetItem(0, name), Outputs = node.Outputs }];
    }

    private static bool IsReshape(Node node) => node is { Domain: "", Outputs.Length: 1, OpType: "Reshape" or "Flatten" or "Squeeze" or "Unsqueeze" };

    private static bool SameShape(IReadOnlyDictionary<string, ValueFact> facts, string a, string b) =>
        facts.GetValueOrDefault(a)?.Shape is { } x && facts.GetValueOrDefault(b)?.Shape is { } y && x.Rank == y.Rank && x.Zip(y).All(p => p.First.SurelyEquals(p.Second));

    /// <summary>From 0, by steps of 1, to the end of each axis, or as far as it can reach in a tensor of at most 2³¹ - 1 elements.</summary>
    private static bool TakesAll(GraphIndex index, IReadOnlyDictionary<string, ValueFact> facts, Node slice)
    {
        if (index.Constant(slice.Input(1)) is not { } starts || index.Constant(slice.Input(2)) is not { } ends || facts.GetValueOrDefault(slice.Inputs[0])?.Shape is not { } shape) return false;
        long[] axes = [.. Enumerable.Range(0, starts.Count).Select(a => (long)a)];
        if (slice.Input(3) is { } name)
        {
            if (index.Constant(name) is not { } given) return false;
            axes = Array.ConvertAll(given.ToInt64s(), a => a < 0 ? a + shape.Rank : a);
        }
        if (slice.Input(4) is { } steps && !(index.Constant(steps) is { } by && by.ToInt64s().All(s => s == 1))) return false;
        long longest = shape.Where(d => d.IsKnown && d.Value > 0).Aggregate((long)int.MaxValue, (left, d) => left / d.Value);
        return starts.ToInt64s().All(s => s == 0) && ends.ToInt64s().Zip(axes).All(e => e.First >= (shape[(int)e.Second] is { IsKnown: true } extent ? extent.Value : longest));
    }

    private static long[]? PermOf(Node transpose)
    {
        var perm = transpose.Attributes.Get("perm", default(ImmutableArray<long>));
        return perm.IsDefault ? null : [.. perm];
    }

    private static bool IsIdentity(long[] perm) => perm.Index().All(p => p.Item == p.Index);

    private static long[]? Compose(long[] first, long[] second) => first.Length == second.Length ? Array.ConvertAll(second, a => first[a]) : null;

    private static Node WithPerm(Node node, string input, string output, long[] perm) =>
        node with { Inputs = [input], Outputs = [output], Attributes = node.Attributes.With("perm", perm.ToImmutableArray()) };
}
