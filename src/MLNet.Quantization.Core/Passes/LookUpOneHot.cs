using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Passes;

/// <summary>
/// The product of a one-hot vector with constant weights is a row of the weights: MatMul of OneHot, or of numbers compared with 0, 1, 2, ...,
/// becomes Gather, and functions of single elements that follow are worked out on the rows, once. An index that selects nothing finds a row of zeros.
/// </summary>
internal static class LookUpOneHot
{
    private static readonly ImmutableHashSet<string> Functions = ImmutableHashSet.Create(
        StringComparer.Ordinal, "Abs", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Neg", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Tanh");

    /// <param name="graph">Of operator set 13 or later, in topological order.</param>
    /// <param name="facts">What is known of its values.</param>
    public static ModelGraph Apply(ModelGraph graph, IReadOnlyDictionary<string, ValueFact> facts)
    {
        var index = new GraphIndex(graph);
        var patch = new GraphPatch(graph);
        foreach (var node in graph.Nodes)
        {
            if (node is not { Domain: "", OpType: "MatMul" } || index.Constant(node.Inputs[1]) is not { Type: ElementType.Float, Rank: 2 } weights) continue;
            if (weights.Count == 0 || !weights.Span<float>().ContainsOnlyFinite() || OneHotOf(index, facts, node.Inputs[0], weights.Dims[0]) is not { } oneHot) continue;
            Replace(patch, node, weights, oneHot);
        }
        if (!patch.IsEmpty) graph = RemoveDeadNodes.Apply(patch.Apply());
        while (Tabulate(new(graph), facts) is { } more) graph = FoldConstants.Apply(more.Apply());
        return graph;
    }

    /// <summary>What selects the rows.</summary>
    /// <param name="Indices">Int32 or Int64.</param>
    /// <param name="Type">Of the indices.</param>
    /// <param name="HasLastAxis">They have an axis of 1 where the vectors will be.</param>
    /// <param name="FromEnd">A negative index counts from the end.</param>
    private sealed record OneHot(string Indices, ElementType Type, bool HasLastAxis, bool FromEnd);

    private static OneHot? OneHotOf(GraphIndex index, IReadOnlyDictionary<string, ValueFact> facts, string value, int count)
    {
        if (index.ProducerOf(value, "OneHot") is { } node) return OfOperator(index, facts, node, count);
        if (index.ProducerOf(value, "Cast") is not { } cast || index.ProducerOf(cast.Inputs[0], "Equal") is not { } equal) return null;
        int side = index.Constant(equal.Inputs[0]) is null ? 0 : 1;
        string indices = equal.Inputs[side];
        if (index.Constant(equal.Inputs[1 - side]) is not { Type: ElementType.Int32 or ElementType.Int64 } numbers || numbers.Rank == 0 || numbers.Dims[^1] != count) return null;
        if (!numbers.ToInt64s().AsSpan().SequenceEqual([.. Enumerable.Range(0, count).Select(i => (long)i)])) return null;
        if (index.ProducerOf(indices, "Expand") is { } expand && OnlyLastAxisGrows(facts.GetValueOrDefault(expand.Inputs[0])?.Shape, facts.GetValueOrDefault(indices)?.Shape)) indices = expand.Inputs[0];
        if (facts.GetValueOrDefault(indices)?.Shape is not { Rank: > 0 } shape || shape.Rank < numbers.Rank || !shape[shape.Rank - 1].SurelyEquals(1)) return null;
        return new(indices, numbers.Type, true, false);
    }

    private static OneHot? OfOperator(GraphIndex index, IReadOnlyDictionary<string, ValueFact> facts, Node node, int count)
    {
        if (facts.GetValueOrDefault(node.Inputs[0]) is not { Type: ElementType.Int32 or ElementType.Int64, Shape: { } shape } fact) return null;
        long axis = node.Attributes.Get("axis", -1L);
        if (axis != -1 && axis != shape.Rank) return null;
        if (index.Constant(node.Inputs[1]) is not { Type: ElementType.Int32 or ElementType.Int64, Count: 1 } depth || depth.ToInt64s()[0] != count) return null;
        return index.Constant(node.Inputs[2]) is { Type: ElementType.Float, Count: 2 } values && values.Span<float>() is [0, 1] ? new(node.Inputs[0], fact.Type, false, true) : null;
    }

    private static bool OnlyLastAxisGrows(TensorShape? from, TensorShape? to) =>
        from is not null && to is not null && from.Rank == to.Rank && from.Rank > 0 && Enumerable.Range(0, from.Rank - 1).All(a => from[a].SurelyEquals(to[a]));

    /// <summary>Rows of the table: zeros, the weights (before them the weights again for indices from the end), zeros.</summary>
    private static void Replace(GraphPatch patch, Node node, Tensor weights, OneHot oneHot)
    {
        int count = weights.Dims[0], width = weights.Dims[1], copies = oneHot.FromEnd ? 2 : 1, rows = (copies * count) + 2;
        var table = new float[rows * width];
        for (int i = 0; i < copies; i++) weights.Span<float>().CopyTo(table.AsSpan(((i * count) + 1) * width));
        long first = ((1 - copies) * (long)count) - 1;
        string stem = node.DisplayName, indices = oneHot.Indices, rowsName = patch.NewName($"{stem}_rows");
        patch.SetInitializer(rowsName, Tensor.Create(table, rows, width)).Remove(node);
        if (oneHot.HasLastAxis) indices = Step(patch, stem, "Squeeze", indices, Integer(patch, stem, ElementType.Int64, [-1]));
        indices = Step(patch, stem, "Clip", indices, Integer(patch, stem, oneHot.Type, first), Integer(patch, stem, oneHot.Type, first + rows - 1));
        indices = Step(patch, stem, "Sub", indices, Integer(patch, stem, oneHot.Type, first));
        patch.Add(Node.Create(node.Name, "Gather", [rowsName, indices], [node.Outputs[0]]));
    }

    private static string Step(GraphPatch patch, string stem, string opType, params string[] inputs)
    {
        string name = patch.NewName($"{stem}_{opType}");
        patch.Add(Node.Create(name, opType, inputs, [name]));
        return name;
    }

    private static string Integer(GraphPatch patch, string stem, ElementType type, long value) => Integer(patch, stem, type, [value], []);

    private static string Integer(GraphPatch patch, string stem, ElementType type, long[] values) => Integer(patch, stem, type, values, values.Length);

    private static string Integer(GraphPatch patch, string stem, ElementType type, long[] values, params ReadOnlySpan<int> dims)
    {
        string name = patch.NewName($"{stem}_number");
        patch.SetInitializer(name, type == ElementType.Int32 ? Tensor.Create(Array.ConvertAll(values, v => (int)v), dims) : Tensor.Create(values, dims));
        return name;
    }

    /// <summary>A function of what a lookup found, worked out on its table instead; null where there is none.</summary>
    private static GraphPatch? Tabulate(GraphIndex index, IReadOnlyDictionary<string, ValueFact> facts)
    {
        foreach (var lookup in index.Graph.Nodes)
        {
            if (lookup is not { Domain: "", OpType: "Gather" } || lookup.Attributes.Get("axis", 0L) != 0 || index.Constant(lookup.Inputs[0]) is not { Type: ElementType.Float, Rank: 2 } table) continue;
            if (index.OnlyConsumerOf(lookup.Outputs[0]) is not { Domain: "" } next || !OperatorSet.Supports(next)) continue;
            var patch = new GraphPatch(index.Graph);
            string found = lookup.Outputs[0];
            Node function;
            if (Functions.Contains(next.OpType)) function = next with { Inputs = [lookup.Inputs[0]] };
            else if (next.OpType is "Add" or "Sub" or "Mul" or "Div" && OfRow(index, facts, next, found, table.Dims[1]) is { } row)
            {
                string constant = patch.NewName($"{next.DisplayName}_row");
                patch.SetInitializer(constant, row);
                function = next with { Inputs = next.Inputs[0] == found ? [lookup.Inputs[0], constant] : [constant, lookup.Inputs[0]] };
            }
            else continue;
            string name = patch.NewName($"{next.DisplayName}_table");
            return patch.Remove(next).Replace(lookup, function with { Outputs = [name] }, lookup with { Inputs = lookup.Inputs.SetItem(0, name), Outputs = next.Outputs });
        }
        return null;
    }

    /// <summary>The constant operand as a row, where it is the same for every row.</summary>
    private static Tensor? OfRow(GraphIndex index, IReadOnlyDictionary<string, ValueFact> facts, Node node, string found, int width)
    {
        if (index.Constant(node.Inputs[node.Inputs[0] == found ? 1 : 0]) is not { Type: ElementType.Float } constant) return null;
        if (facts.GetValueOrDefault(node.Outputs[0])?.Shape is not { } shape || constant.Rank > shape.Rank || facts.GetValueOrDefault(found)?.Shape is { } before && before.Rank != shape.Rank) return null;
        return constant.Count == 1 || constant.Count == width && constant.Dims[^1] == width ? new(ElementType.Float, [constant.Count], constant.Bytes) : null;
    }

    private static bool ContainsOnlyFinite(this ReadOnlySpan<float> values)
    {
        foreach (float v in values)
            if (!float.IsFinite(v)) return false;
        return true;
    }
}
