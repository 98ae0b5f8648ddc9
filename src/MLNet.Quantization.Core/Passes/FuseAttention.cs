using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Ops.Quantized;

namespace MLNet.Quantization.Passes;

/// <summary>
/// A product, scaling and masks, Softmax over the last axis, and the product with it become one <see cref="FusedAttention"/>, which keeps
/// no scores in memory and needs no transposed copies: those of queries, keys and values before, and that of the result behind, are taken
/// in. Both products may be float or in INT8. Stacks that broadcast, and scores that somebody else reads, stay as they are.
/// </summary>
internal static class FuseAttention
{
    /// <summary>From here on Softmax runs over one axis.</summary>
    private const int FirstOpset = 13;

    public static ModelGraph Apply(ModelGraph graph)
    {
        if (graph.Opset < FirstOpset || graph.Nodes.All(n => n.OpType != "Softmax")) return graph;
        var matcher = new Matcher(new(graph), GraphInference.Infer(graph));
        var patch = new GraphPatch(graph);
        foreach (var node in graph.Nodes)
            if (node is { Domain: "", OpType: "Softmax" } && matcher.Match(node) is { } found) Replace(patch, found);
        return patch.IsEmpty ? graph : RemoveDeadNodes.Apply(patch.Apply());
    }

    private static void Replace(GraphPatch patch, Found found)
    {
        var attributes = PairForm.Prefixed(found.Scores.Attributes, FusedAttention.Scores, PairForm.Prefixed(found.Context.Attributes, FusedAttention.Context, AttributeMap.Empty));
        if (found.Steps.Count > 0) attributes = attributes.With(FusedAttention.Steps, found.Steps.Select(s => s.Function.ToString()).ToImmutableArray());
        foreach (var (name, (_, perm)) in new[] { ("q_perm", found.Q), ("k_perm", found.K), ("v_perm", found.V), ("y_perm", found.Y) })
            if (!perm.IsEmpty) attributes = attributes.With(name, perm);
        foreach (var node in found.Removed) patch.Remove(node);
        patch.Add(new Node(found.Softmax.Name, nameof(FusedAttention), [found.Q.Value, found.K.Value, found.V.Value, .. found.Steps.SelectMany(s => s.Operands)], [found.Y.Value])
        {
            Domain = OperatorSet.EngineDomain,
            Attributes = attributes,
        });
    }

    /// <param name="Value">Its name.</param>
    /// <param name="Perm">How the operator is to transpose it; empty: not at all.</param>
    private readonly record struct Turned(string Value, ImmutableArray<long> Perm);

    private sealed record ScaleOrMask(ScoreFunction Function, ImmutableArray<string> Operands);

    private sealed record Found(Node Softmax, Node Scores, Node Context, List<ScaleOrMask> Steps, Turned Q, Turned K, Turned V, Turned Y, List<Node> Removed);

    private sealed class Matcher(GraphIndex index, IReadOnlyDictionary<string, ValueFact> facts)
    {
        public Found? Match(Node softmax)
        {
            if (ShapeOf(softmax.Inputs[0]) is not { Rank: >= 2 } shape || softmax.Attributes.Get("axis", -1L) is var axis && axis != -1 && axis != shape.Rank - 1) return null;
            if (index.OnlyConsumerOf(softmax.Outputs[0]) is not { } context || !IsProduct(context) || context.Inputs[0] != softmax.Outputs[0]) return null;
            List<Node> nodes = [softmax, context];
            List<ScaleOrMask> steps = [];
            if (Before(softmax.Inputs[0], steps, nodes) is not { } scores || !SameStacks(shape, scores.Inputs[0], scores.Inputs[1], context.Inputs[1])) return null;
            var (q, k, v) = (Source(scores.Inputs[0], lines: false), Source(scores.Inputs[1], lines: true), Source(context.Inputs[1], lines: true));
            return new(softmax, scores, context, steps, q, k, v, Result(context, nodes), nodes);
        }

        private static bool IsProduct(Node node) => node is { Domain: "", OpType: "MatMul" } or { Domain: OperatorSet.EngineDomain, OpType: nameof(QuantizedMatMul) };

        /// <summary>The product that a value comes from, with what is done to it on the way, in order; null where anything else is.</summary>
        private Node? Before(string value, List<ScaleOrMask> steps, List<Node> nodes)
        {
            if (index.Producers.GetValueOrDefault(value) is not { } node || index.OnlyConsumerOf(value) is null || node.Outputs.Length != 1) return null;
            if (IsProduct(node))
            {
                nodes.Add(node);
                return node;
            }
            if (node.Domain.Length > 0) return null;
            foreach (int at in Candidates(node))
            {
                var operands = node.Inputs.RemoveAt(at);
                if (!operands.All(o => IsWithin(ShapeOf(o), ShapeOf(node.Inputs[at]))) || Before(node.Inputs[at], steps, nodes) is not { } product) continue;
                var function = node.OpType == "Where" ? at == 1 ? ScoreFunction.Keep : ScoreFunction.Replace : Enum.Parse<ScoreFunction>(node.OpType);
                steps.Add(new(function, operands));
                nodes.Add(node);
                return product;
            }
            return null;
        }

        /// <summary>Inputs that may be the scores.</summary>
        private static int[] Candidates(Node node) => node.OpType switch { "Div" => [0], "Mul" or "Add" => [0, 1], "Where" => [1, 2], _ => [] };

        /// <summary>True where each factor is computed and has the scores' rank and stack.</summary>
        private bool SameStacks(TensorShape scores, params ReadOnlySpan<string> factors)
        {
            foreach (string factor in factors)
            {
                // Weights are packed once by the operators that have them alone.
                if (index.Constant(factor) is not null || ShapeOf(factor) is not { } shape || shape.Rank != scores.Rank) return false;
                for (int i = 0; i < shape.Rank - 2; i++)
                    if (!shape[i].SurelyEquals(scores[i])) return false;
            }
            return true;
        }

        /// <summary>What a Transpose is made of, where its lines stay whole: rows, or with <paramref name="lines"/> columns too.</summary>
        private Turned Source(string value, bool lines)
        {
            if (index.ProducerOf(value, "Transpose") is not { } transpose || PermOf(transpose) is not { } perm) return new(value, []);
            bool whole = perm[^1] == perm.Length - 1 || lines && perm[^2] == perm.Length - 1;
            return whole ? new(transpose.Inputs[0], perm) : new(value, []);
        }

        private Turned Result(Node context, List<Node> nodes)
        {
            string value = context.Outputs[0];
            if (index.OnlyConsumerOf(value) is not { Domain: "", OpType: "Transpose" } transpose || PermOf(transpose) is not { } perm || perm[^1] != perm.Length - 1) return new(value, []);
            nodes.Add(transpose);
            return new(transpose.Outputs[0], perm);
        }

        private static ImmutableArray<long>? PermOf(Node transpose)
        {
            var perm = transpose.Attributes.Get("perm", ImmutableArray<long>.Empty);
            return perm.Length < 2 ? null : perm;
        }

        /// <summary>True where the scores keep their shape when they meet the operand.</summary>
        private static bool IsWithin(TensorShape? operand, TensorShape? scores)
        {
            if (operand is null || scores is null || operand.Rank > scores.Rank) return false;
            for (int i = 1; i <= operand.Rank; i++)
                if (operand[operand.Rank - i] is var extent && extent != 1 && !extent.SurelyEquals(scores[scores.Rank - i])) return false;
            return true;
        }

        private TensorShape? ShapeOf(string value) => facts.GetValueOrDefault(value)?.Shape;
    }
}
