using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Turns Einsum of two float tensors into MatMul between transposes, where it is a product of stacked matrices: one letter is summed over, one
/// belongs to the second tensor alone, and either no other letter is in both, or one belongs to the first alone. So attention is computed by
/// the packed kernels, and a product with constant weights can be quantized.
/// </summary>
internal static class LowerEinsum
{
    public static ModelGraph Apply(ModelGraph graph, IReadOnlyDictionary<string, ValueFact> facts)
    {
        var patch = new GraphPatch(graph);
        foreach (var node in graph.Nodes)
        {
            if (node is not { OpType: "Einsum", Domain: "", Inputs.Length: 2 } || facts[node.Outputs[0]].Type != ElementType.Float) continue;
            if (facts[node.Inputs[0]].Shape is not { } a || facts[node.Inputs[1]].Shape is not { } b) continue;
            var context = new OpContext(node, graph.Opset, [facts[node.Inputs[0]], facts[node.Inputs[1]]]);
            if (Match(Einsum.Parse(context, [a.Rank, b.Rank]), a, b) is { } product) Write(patch, node, product);
        }
        return patch.Apply();
    }

    /// <param name="A">Letters of the first factor, in the order that MatMul wants.</param>
    /// <param name="B">Of the second.</param>
    /// <param name="Y">Of their product.</param>
    /// <param name="Equation">What is asked for.</param>
    private sealed record Product(string A, string B, string Y, EinsumEquation Equation);

    private static Product? Match(EinsumEquation equation, TensorShape a, TensorShape b)
    {
        var (x, y) = (equation.Inputs[0], equation.Inputs[1]);
        if (x.Distinct().Count() != x.Length || y.Distinct().Count() != y.Length) return null;
        string both = string.Concat(x.Intersect(y)), batch = string.Concat(both.Where(c => equation.Output.Contains(c))), k = string.Concat(both.Except(batch));
        string m = string.Concat(x.Except(both)), n = string.Concat(y.Except(both));
        if (k.Length != 1 || n.Length != 1 || m.Length == 0 || batch.Length > 0 && m.Length > 1 || (m + n).Any(c => !equation.Output.Contains(c))) return null;
        // What broadcasts in one, NumPy's matmul would broadcast too, but not along k.
        if (!a[x.IndexOf(k[0], StringComparison.Ordinal)].SurelyEquals(b[y.IndexOf(k[0], StringComparison.Ordinal)])) return null;
        return new(batch + m + k, batch + k + n, batch + m + n, equation);
    }

    private static void Write(GraphPatch patch, Node node, Product product)
    {
        string a = Turn(patch, node, node.Inputs[0], product.Equation.Inputs[0], product.A, null), b = Turn(patch, node, node.Inputs[1], product.Equation.Inputs[1], product.B, null);
        bool asItIs = product.Y == product.Equation.Output;
        string y = asItIs ? node.Outputs[0] : patch.NewName($"{node.DisplayName}_product");
        patch.Replace(node, Node.Create(node.Name.Length > 0 ? node.Name : patch.NewName($"{node.Outputs[0]}_MatMul"), "MatMul", [a, b], [y]));
        if (!asItIs) Turn(patch, node, y, product.Y, product.Equation.Output, node.Outputs[0]);
    }

    private static string Turn(GraphPatch patch, Node node, string value, string from, string to, string? result)
    {
        if (from == to) return value;
        string turned = result ?? patch.NewName($"{value}_turned");
        var order = to.Select(c => (long)from.IndexOf(c, StringComparison.Ordinal)).ToImmutableArray();
        patch.Add(Node.Create(patch.NewName($"{node.DisplayName}_{(result is null ? "before" : "behind")}"), "Transpose", [value], [turned]) with { Attributes = AttributeMap.Empty.With("perm", order) });
        return turned;
    }
}
