using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>Walks a graph in order and works out what is known of every value.</summary>
internal static class GraphInference
{
    /// <summary>Constants of at most this many elements are computed while inferring (shapes, axes, small tables).</summary>
    private const int FoldLimit = 1 << 16;

    /// <param name="graph">In topological order.</param>
    /// <param name="inputs">Facts of the graph inputs by name; an input that is missing here has its declared type and shape.</param>
    /// <param name="outer">Facts of the graph around a subgraph, or null.</param>
    /// <param name="opset">Operator set version; null to take it from the graph.</param>
    /// <returns>Facts of all values: inputs, constants and node outputs.</returns>
    public static Dictionary<string, ValueFact> Infer(
        ModelGraph graph, IReadOnlyDictionary<string, ValueFact>? inputs = null, IReadOnlyDictionary<string, ValueFact>? outer = null, int? opset = null)
    {
        var facts = outer is null ? new(StringComparer.Ordinal) : new Dictionary<string, ValueFact>(outer, StringComparer.Ordinal);
        foreach (var (name, value) in graph.Initializers) facts[name] = ValueFact.Of(value);
        foreach (var input in graph.Inputs) facts[input.Name] = inputs?.GetValueOrDefault(input.Name) ?? ValueFact.Of(input);
        foreach (var node in graph.Nodes) InferNode(node, opset ?? graph.Opset, facts);
        return facts;
    }

    /// <summary>Facts of the node's inputs, then of what its subgraphs capture; null where omitted.</summary>
    public static ImmutableArray<ValueFact?> InputFacts(Node node, IReadOnlyDictionary<string, ValueFact> facts) =>
        [.. node.Inputs.Select(i => i.Length == 0 ? null : facts[i]), .. node.Captures().Select(c => facts[c])];

    /// <summary>Adds the facts of a node's outputs to those of its inputs.</summary>
    public static void InferNode(Node node, int opset, Dictionary<string, ValueFact> facts)
    {
        var op = OperatorSet.For(node);
        var context = new OpContext(node, opset, InputFacts(node, facts));
        var outputs = Infer(op, context);
        if (outputs.Length < node.Outputs.Length)
            throw context.Malformed($"{node.Outputs.Length} outputs are named, the operator has {outputs.Length}");
        if (CanFold(context, outputs)) outputs = [.. Evaluator.Evaluate(op, context).Select(ValueFact.Of)];
        for (int i = 0; i < node.Outputs.Length; i++)
            if (node.Outputs[i].Length > 0) facts[node.Outputs[i]] = outputs[i];
    }

    private static ValueFact[] Infer(Operator op, OpContext context)
    {
        try
        {
            return op.Infer(context);
        }
        catch (OverflowException)
        {
            throw context.Malformed("a number of elements leaves the range of 64-bit integers");
        }
    }

    private static bool CanFold(OpContext context, ValueFact[] outputs) =>
        context.Inputs.All(i => i is null || i.Value is { Count: <= FoldLimit })
        && context.Inputs.Length > 0
        && outputs.All(o => o.Value is null && o.Shape is { IsKnown: true, ElementCount: <= FoldLimit })
        && !context.Node.Attributes.Any(a => a.Value is ModelGraph);
}
