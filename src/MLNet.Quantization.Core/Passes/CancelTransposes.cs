using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Transpose, Reshape that joins or splits axes, Transpose: where the second puts back what the first moved, as between pixels that lie
/// channels last and the tokens that an attention layer makes of them, one Reshape does, which moves nothing.
/// </summary>
internal static class CancelTransposes
{
    /// <param name="graph">In topological order.</param>
    public static ModelGraph Apply(ModelGraph graph)
    {
        var index = new GraphIndex(graph);
        var patch = new GraphPatch(graph);
        IReadOnlyDictionary<string, ValueFact>? facts = null;
        foreach (var second in graph.Nodes)
        {
            if (PermOf(second) is not { } after || index.ProducerOf(second.Inputs[0], "Reshape") is not { } reshape || index.ProducerOf(reshape.Inputs[0], "Transpose") is not { } first) continue;
            if (PermOf(first) is not { } before) continue;
            facts ??= GraphInference.Infer(graph);
            if (ShapeOf(first.Inputs[0]) is not { } x || ShapeOf(first.Outputs[0]) is not { } moved || ShapeOf(reshape.Outputs[0]) is not { } joined || ShapeOf(second.Outputs[0]) is not { } y) continue;
            if (Groups(moved, joined) is not { } groups || !LeadBack(groups, before, after) || TargetOf(x, y) is not { } target) continue;
            string name = patch.NewName($"{second.DisplayName}_target");
            patch.SetInitializer(name, Tensor.Create(target, target.Length));
            patch.Replace(second, Node.Create(second.Name, "Reshape", [first.Inputs[0], name], [second.Outputs[0]]));
        }
        return patch.IsEmpty ? graph : RemoveDeadNodes.Apply(patch.Apply());

        TensorShape? ShapeOf(string value) => facts!.GetValueOrDefault(value)?.Shape;
    }

    /// <summary>Axes before a Reshape and after it that have the same elements in the same order.</summary>
    private readonly record struct Group(int From, int FromCount, int To, int ToCount);

    /// <summary>The smallest groups; null where an extent that must be multiplied is unknown.</summary>
    private static List<Group>? Groups(TensorShape from, TensorShape to)
    {
        var groups = new List<Group>();
        for (int i = 0, j = 0; i < from.Rank || j < to.Rank;)
        {
            if (i == from.Rank || j == to.Rank) return null;
            int i0 = i++, j0 = j++;
            if (!from[i0].SurelyEquals(to[j0]))
            {
                if (!from[i0].IsKnown || !to[j0].IsKnown) return null;
                long left = from[i0].Value, right = to[j0].Value;
                while (left != right)
                {
                    var next = left < right ? i < from.Rank ? from[i++] : default : j < to.Rank ? to[j++] : default;
                    if (!next.IsKnown || next.Value < 2) return null;
                    if (left < right) left *= next.Value;
                    else right *= next.Value;
                }
            }
            groups.Add(new(i0, i - i0, j0, j - j0));
        }
        return groups;
    }

    /// <summary>True where the axes of each group lie together, in order, before the first Transpose and behind the second, and the groups are there in one order.</summary>
    private static bool LeadBack(List<Group> groups, long[] before, long[] after)
    {
        long[] places = [.. Enumerable.Range(0, after.Length).Select(axis => (long)Array.IndexOf(after, axis))];
        if (!groups.All(g => AreTogether(before, g.From, g.FromCount) && AreTogether(places, g.To, g.ToCount))) return false;
        return groups.OrderBy(g => before[g.From]).SequenceEqual(groups.OrderBy(g => places[g.To]));
    }

    private static bool AreTogether(long[] axes, int start, int count) => Enumerable.Range(1, count - 1).All(i => axes[start + i] == axes[start] + i);

    /// <summary>What reshapes x to y, or null.</summary>
    private static long[]? TargetOf(TensorShape x, TensorShape y)
    {
        if (y.Any(d => d.IsKnown && d.Value == 0)) return null;
        long[] target = [.. y.Select((d, axis) => d.IsKnown ? d.Value : axis < x.Rank && x[axis].SurelyEquals(d) ? 0 : -1)];
        return target.Count(t => t == -1) > 1 ? null : target;
    }

    private static long[]? PermOf(Node node)
    {
        var perm = node is { Domain: "", OpType: "Transpose" } ? node.Attributes.Get("perm", default(ImmutableArray<long>)) : default;
        return perm.IsDefault ? null : [.. perm];
    }
}
