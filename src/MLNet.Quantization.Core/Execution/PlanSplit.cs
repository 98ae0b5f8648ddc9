using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Execution;

/// <summary>Where a plan has to end: which nodes have shapes that follow from what is known, and which wait for data.</summary>
/// <param name="Ready">Nodes that are planned, in order.</param>
/// <param name="Opened">Those of them that tell the extents of their outputs by running.</param>
/// <param name="Waiting">Nodes that read what is not known yet, in order.</param>
/// <param name="Wanted">Integers that the shapes of waiting nodes follow from.</param>
internal sealed record PlanSplit(List<PreparedNode> Ready, HashSet<PreparedNode> Opened, List<PreparedNode> Waiting, HashSet<string> Wanted)
{
    /// <summary>Lists of shapes, axes and bounds are not longer.</summary>
    private const int MostIntegers = 1024;

    /// <param name="program">What the nodes are of.</param>
    /// <param name="nodes">In order.</param>
    /// <param name="facts">Of all that is supplied; those of the results of nodes that are ready are added.</param>
    /// <exception cref="UnsupportedOperatorException">A shape depends on data in a way that cannot be waited for.</exception>
    public static PlanSplit Of(Program program, IReadOnlyList<PreparedNode> nodes, Dictionary<string, ValueFact> facts)
    {
        var split = new PlanSplit([], new(ReferenceEqualityComparer.Instance), [], new(StringComparer.Ordinal));
        foreach (var node in nodes)
        {
            if (node.Reads.Any(r => r.Length > 0 && !facts.ContainsKey(r)))
            {
                split.Waiting.Add(node);
                continue;
            }
            GraphInference.InferNode(node.Node, program.Opset, facts);
            string[] outputs = [.. node.Node.Outputs.Where(o => o.Length > 0)];
            if (Array.TrueForAll(outputs, o => facts[o].Shape is { IsKnown: true })) split.Ready.Add(node);
            else split.Open(node, outputs, facts);
        }
        return split;
    }

    /// <summary>The node with a step that was prepared with the values which only this plan knows.</summary>
    public static PreparedNode WithKnownValues(Program program, PreparedNode node, IReadOnlyDictionary<string, ValueFact> facts)
    {
        bool isNews = node.Reads.Any(r => r.Length > 0 && facts[r].Value is not null && !program.Constants.ContainsKey(r));
        bool isGone = node.Reads.Any(r => program.Constants.TryGetValue(r, out var constant) && constant.Value is null);
        return isNews && !isGone && !node.Node.Bodies().Any() ? PreparedNode.Make(node.Node, program.Opset, facts, new SubgraphCompiler(facts, program.Options)) : node;
    }

    private void Open(PreparedNode node, string[] outputs, Dictionary<string, ValueFact> facts)
    {
        string unknown = outputs.First(o => facts[o].Shape is not { IsKnown: true });
        var found = facts[unknown];
        foreach (string output in outputs) facts.Remove(output);
        if (node.Step.CanSizeOutputs)
        {
            Ready.Add(node);
            Opened.Add(node);
            return;
        }
        var wanted = node.Reads.Where(r => r.Length > 0 && IsOpenList(facts[r])).ToList();
        if (wanted.Count == 0)
            throw new UnsupportedOperatorException(
                $"The shape of '{unknown}', computed by node '{node.Node.DisplayName}' ({node.Node.OpType}), depends on the data: {found}. " +
                "Shapes must follow from the shapes of the inputs, or from integers that the model computes.", node.Node.DisplayName, node.Node.OpType, node.Node.Domain);
        Wanted.UnionWith(wanted);
        Waiting.Add(node);
    }

    private static bool IsOpenList(ValueFact fact) =>
        fact is { Value: null, Type: ElementType.Int64 or ElementType.Int32 or ElementType.Bool or ElementType.Float, Shape: { IsKnown: true, Rank: <= 1, ElementCount: <= MostIntegers } };
}
