using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// The body of a Loop or Scan: its inputs are values carried from one iteration to the next and others, its outputs the carried values and
/// those that are stacked.
/// </summary>
/// <param name="Context">The node.</param>
/// <param name="Graph">The body.</param>
/// <param name="CarriedIn">The body's first input that is carried.</param>
/// <param name="CarriedOut">Its first output that is carried; what is stacked comes behind the last.</param>
/// <param name="Carried">How many values are carried.</param>
internal sealed record IteratedBody(OpContext Context, ModelGraph Graph, int CarriedIn, int CarriedOut, int Carried)
{
    public int Stacked => Graph.Outputs.Length - CarriedOut - Carried;

    /// <param name="context">The node.</param>
    /// <param name="carriedIn">The body's first input that is carried.</param>
    /// <param name="carriedOut">Its first output that is carried.</param>
    /// <param name="carried">How many values are carried.</param>
    /// <param name="others">Inputs of the body beside those.</param>
    /// <exception cref="ModelFormatException">There is no body, or it has other inputs or outputs.</exception>
    public static IteratedBody Of(OpContext context, int carriedIn, int carriedOut, int carried, int others)
    {
        if (context.Node.Attributes.Find("body") is not ModelGraph graph) throw context.Malformed("attribute 'body' must hold a graph");
        if (graph.Inputs.Length != carried + others) throw context.Malformed($"its body has {graph.Inputs.Length} inputs, the node supplies {carried + others}");
        if (graph.Outputs.Length < carriedOut + carried) throw context.Malformed($"its body has {graph.Outputs.Length} outputs, expected {carriedOut + carried} or more");
        return new(context, graph, carriedIn, carriedOut, carried);
    }

    /// <summary>What is known of the carried values in any iteration, and of the body's results.</summary>
    /// <param name="initial">The carried values before.</param>
    /// <param name="others">The body's other inputs, in order.</param>
    public (ValueFact[] Carried, ValueFact[] Results) Infer(IEnumerable<ValueFact> initial, IReadOnlyList<ValueFact> others)
    {
        ValueFact[] carried = [.. initial.Select(f => new ValueFact(f.Type, f.Shape))];
        var outer = Subgraphs.OuterFacts(Context);
        // Each round makes at least one more extent unknown, so this ends.
        while (true)
        {
            var inputs = new Dictionary<string, ValueFact>(StringComparer.Ordinal);
            for (int i = 0; i < Graph.Inputs.Length; i++) inputs[Graph.Inputs[i].Name] = At(i, carried, others);
            var facts = GraphInference.Infer(Graph, inputs, outer, Context.Opset);
            ValueFact[] results = [.. Graph.Outputs.Select(o => facts[o.Name])];
            var next = new ValueFact[Carried];
            for (int i = 0; i < Carried; i++)
            {
                var result = results[CarriedOut + i];
                if (result.Type != carried[i].Type) throw Context.Malformed($"carried value {i} is {carried[i].Type} before an iteration and {result.Type} after it");
                next[i] = new(carried[i].Type, ShapeRules.Common(carried[i].Shape, result.Shape));
            }
            if (next.SequenceEqual(carried)) return (carried, results);
            carried = next;
        }
    }

    /// <summary>The body with types and shapes that hold in every iteration, for the compiler.</summary>
    public ModelGraph Closed(ValueFact[] carried, IReadOnlyList<ValueFact> others) => Graph with
    {
        Inputs = [.. Graph.Inputs.Select((input, i) => At(i, carried, others) is var fact ? new ValueInfo(input.Name, fact.Type, fact.Shape) : input)],
    };

    private ValueFact At(int input, ValueFact[] carried, IReadOnlyList<ValueFact> others) =>
        input < CarriedIn ? others[input] : input < CarriedIn + Carried ? carried[input - CarriedIn] : others[input - Carried];
}
