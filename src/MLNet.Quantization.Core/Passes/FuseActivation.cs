using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Activations written out in arithmetic become the standard's own operators, which are computed in one step and whose codes have a table:
/// Gelu by Erf and by Tanh, HardSwish by HardSigmoid and by Clip, in any order and grouping of factors.
/// </summary>
internal static class FuseActivation
{
    private const double Tanh1 = 0.7978845608028654, Tanh3 = Tanh1 * 0.044715; // √(2/π) · (x + 0.044715 · x³)

    /// <summary>How many nodes may follow the inner function.</summary>
    private const int Tail = 4;

    /// <param name="graph">Of operator set 13 or later, in topological order. A match raises it to the first that has the operator.</param>
    /// <param name="facts">What is known of its values.</param>
    public static ModelGraph Apply(ModelGraph graph, IReadOnlyDictionary<string, ValueFact> facts)
    {
        var index = new GraphIndex(graph);
        var patch = new GraphPatch(graph);
        int opset = graph.Opset;
        foreach (var inner in graph.Nodes)
        {
            if (Match(index, facts, inner) is not var (last, fused, since)) continue;
            if (opset < since)
            {
                if (!LaterOpset.CanRaise(graph, since)) continue;
                opset = since;
            }
            patch.Replace(last, fused);
        }
        return patch.IsEmpty ? graph : LaterOpset.Raise(RemoveDeadNodes.Apply(patch.Apply()), opset);
    }

    private static (Node Last, Node Fused, int Since)? Match(GraphIndex index, IReadOnlyDictionary<string, ValueFact> facts, Node inner)
    {
        if (inner.Domain.Length > 0 || inner.OpType is not ("Erf" or "Tanh" or "Clip" or "HardSigmoid")) return null;
        foreach (string x in Polynomial.Sources(index, inner.Inputs[0]))
        {
            if (facts.GetValueOrDefault(x) is { Type: not ElementType.Float }) continue;
            int rank = facts.GetValueOrDefault(x)?.Shape?.Rank ?? 0;
            if (Polynomial.Of(index, inner.Inputs[0], x, null, rank) is not { } argument || OuterOf(index, inner, argument) is not var (opType, outer)) continue;
            if (LastOf(index, inner.Outputs[0], x, rank, outer) is not { } last) continue;
            var fused = Node.Create(last.Name, opType, [x], [last.Outputs[0]]);
            if (inner.OpType == "Tanh") fused = fused with { Attributes = AttributeMap.Empty.With("approximate", "tanh") };
            return (last, fused, opType == "Gelu" ? 20 : 14);
        }
        return null;
    }

    /// <summary>What an inner function of this argument has to be multiplied with x by, and what it then is: plain part and part times inner.</summary>
    private static (string OpType, (double Plain, double TimesInner) Outer)? OuterOf(GraphIndex index, Node inner, Polynomial argument)
    {
        switch (inner.OpType)
        {
            case "Erf" when argument.Is([0, Math.Sqrt(0.5)]):
            case "Tanh" when argument.Is([0, Tanh1, 0, Tanh3]):
                return ("Gelu", (0.5, 0.5));
            case "Clip" when IsNumber(index, inner, 1, 0) && argument.Is([3, 1]) && IsNumber(index, inner, 2, 6):
                return ("HardSwish", (0, 1 / 6d));
            case "Clip" when IsNumber(index, inner, 1, 0) && argument.Is([0.5, 1 / 6d]) && IsNumber(index, inner, 2, 1):
            case "HardSigmoid" when argument.Is([0, 1]) && IsAbout(inner.Attributes.Get("alpha", 0.2f), 1 / 6d) && IsAbout(inner.Attributes.Get("beta", 0.5f), 0.5):
                return ("HardSwish", (0, 1));
            default:
                return null;
        }
    }

    private static bool IsAbout(double found, double expected) => Math.Abs(found - expected) <= 1e-5 * expected;

    private static bool IsNumber(GraphIndex index, Node node, int input, float number) =>
        index.Constant(node.Input(input)) is { Type: ElementType.Float, Count: 1 } value && value.Span<float>()[0] == number;

    /// <summary>The node that makes x times what is asked for, from the inner function's value, which nothing else reads on the way.</summary>
    private static Node? LastOf(GraphIndex index, string inner, string x, int rank, (double Plain, double TimesInner) outer)
    {
        string value = inner;
        for (int i = 0; i < Tail; i++)
        {
            if (index.OnlyConsumerOf(value) is not { Outputs: [var output] } next) return null;
            if (Polynomial.Of(index, output, x, inner, rank) is not { } polynomial) return null;
            if (polynomial.Is([0, outer.Plain], [0, outer.TimesInner])) return next;
            value = output;
        }
        return null;
    }
}
