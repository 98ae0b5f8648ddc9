using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>What the subgraphs of a node capture: it comes behind the node's own inputs.</summary>
internal static class Subgraphs
{
    /// <summary>Which inputs of the node are the captures of one of its subgraphs.</summary>
    public static int[] CapturesOf(OpContext context, ISubgraph graph)
    {
        var all = context.Node.Captures().ToList();
        return [.. graph.Captures.Select(c => context.Node.Inputs.Length + all.IndexOf(c))];
    }

    /// <summary>What is known of the captures of all subgraphs, by name.</summary>
    public static Dictionary<string, ValueFact> OuterFacts(OpContext context)
    {
        var captures = context.Node.Captures();
        var outer = new Dictionary<string, ValueFact>(StringComparer.Ordinal);
        for (int i = 0; i < captures.Count; i++)
            if (context.Inputs[context.Node.Inputs.Length + i] is { } fact) outer[captures[i]] = fact;
        return outer;
    }
}
