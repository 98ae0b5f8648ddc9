using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Writes out the operators that ONNX Runtime's optimizer fuses encoders into (domain com.microsoft): SkipLayerNormalization,
/// MultiHeadAttention, Gelu, BiasGelu, FastGelu, QuickGelu. Other passes find in the arithmetic what the engine has one operator for.
/// </summary>
/// <remarks>https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md.</remarks>
internal static class ReadFusedOperators
{
    private static readonly ImmutableHashSet<string> Types = ImmutableHashSet.Create(
        StringComparer.Ordinal, "BiasGelu", "FastGelu", "Gelu", "MultiHeadAttention", "QuickGelu", "SkipLayerNormalization");

    /// <summary>True where the pass knows the operator.</summary>
    public static bool Knows(Node node) => node.Domain == WriteQOperator.RuntimeDomain && Types.Contains(node.OpType);

    /// <exception cref="UnsupportedOperatorException">A node has an input, output or attribute that is not written out.</exception>
    public static ModelGraph Apply(ModelGraph graph)
    {
        var patch = new GraphPatch(graph);
        foreach (var node in graph.Nodes.Where(Knows)) new Writer(graph, patch, node).Write();
        return patch.Apply();
    }

    private sealed class Writer(ModelGraph graph, GraphPatch patch, Node node)
    {
        private const int HasLayerNormalization = 17;

        private const double Tanh1 = 0.7978845608028654; // √(2/π)

        private string Result => node.Outputs[0];

        public void Write()
        {
            patch.Remove(node);
            switch (node.OpType)
            {
                case "SkipLayerNormalization":
                    SkipLayerNormalization();
                    break;
                case "MultiHeadAttention":
                    Attention();
                    break;
                case "QuickGelu":
                    Put(Result, "Mul", AttributeMap.Empty, node.Inputs[0], Add("Sigmoid", Add("Mul", node.Inputs[0], Number(node.Attributes.Get("alpha", 1.702f)))));
                    break;
                default:
                    Gelu(node.Input(1) is { } bias ? Add("Add", node.Inputs[0], bias) : node.Inputs[0], node.OpType == "FastGelu");
                    break;
            }
        }

        private void Gelu(string x, bool byTanh)
        {
            string inner = byTanh
                ? Add("Tanh", Add("Mul", x, Add("Add", Add("Mul", Add("Mul", x, x), Number(0.044715 * Tanh1)), Number(Tanh1))))
                : Add("Erf", Add("Div", x, Number(Math.Sqrt(2))));
            Put(Result, "Mul", AttributeMap.Empty, Add("Mul", x, Add("Add", inner, Number(1))), Number(0.5));
        }

        private void SkipLayerNormalization()
        {
            Refuse(node.Outputs.Skip(1).Take(2).Any(o => o.Length > 0), "its mean and deviation are outputs");
            string? given = node.Outputs.Length > 3 && node.Outputs[3].Length > 0 ? node.Outputs[3] : null;
            string sum = Put(node.Input(4) is null ? given : null, "Add", AttributeMap.Empty, node.Inputs[0], node.Inputs[1]);
            if (node.Input(4) is { } bias) sum = Put(given, "Add", AttributeMap.Empty, sum, bias);
            float epsilon = node.Attributes.Get("epsilon", 1e-12f);
            if (graph.Opset >= HasLayerNormalization)
            {
                string[] inputs = node.Input(3) is { } shift ? [sum, node.Inputs[2], shift] : [sum, node.Inputs[2]];
                Put(Result, "LayerNormalization", AttributeMap.Empty.With("axis", -1L).With("epsilon", epsilon), inputs);
                return;
            }
            var last = AttributeMap.Empty.With("axes", ImmutableArray.Create(-1L));
            string centred = Add("Sub", sum, Add("ReduceMean", last, sum)), variance = Add("ReduceMean", last, Add("Mul", centred, centred));
            string normal = Add("Div", centred, Add("Sqrt", Add("Add", variance, Number(epsilon))));
            string scaled = Put(node.Input(3) is null ? Result : null, "Mul", AttributeMap.Empty, normal, node.Inputs[2]);
            if (node.Input(3) is { } beta) Put(Result, "Add", AttributeMap.Empty, scaled, beta);
        }

        /// <summary>Queries, keys and values [rows, tokens, width], heads side by side.</summary>
        private void Attention()
        {
            long heads = node.Attributes.Get("num_heads", 0L);
            Refuse(heads < 1, "num_heads is missing");
            Refuse(node.Input(1) is null || node.Input(2) is null, "keys and values are packed with the queries");
            Refuse(node.Input(4) is { } given && RankOf(given) != 2, "its mask of keys is not known to be one number a row and key");
            Refuse(node.Inputs.Skip(6).Any(i => i.Length > 0) || node.Outputs.Skip(1).Any(o => o.Length > 0), "it has past or present keys and values");
            Refuse(node.Attributes.Get("unidirectional", 0L) != 0, "unidirectional is set");
            string split = List(0, 0, heads, -1);
            string[] bias = node.Input(3) is { } all ? Thirds(all) : [];
            string Head(int input, params long[] order) =>
                Transposed(Add("Reshape", bias.Length > 0 ? Add("Add", node.Inputs[input], bias[input]) : node.Inputs[input], split), order);
            string q = Head(0, 0, 2, 1, 3), scores = Add("MatMul", q, Head(1, 0, 2, 3, 1));
            if (node.Attributes.Get("scale", 0f) is var scale && scale != 0) scores = Add("Mul", scores, Number(scale));
            else scores = Add("Div", scores, Add("Sqrt", Add("Cast", AttributeMap.Empty.With("to", (long)ElementType.Float), Add("Gather", Add("Shape", q), Constant(Tensor.Scalar(3L))))));
            if (node.Input(4) is { } mask) scores = Add("Add", scores, Masked(mask));
            if (node.Input(5) is { } added) scores = Add("Add", scores, added);
            string context = Add("MatMul", Add("Softmax", AttributeMap.Empty.With("axis", 3L), scores), Head(2, 0, 2, 1, 3));
            Put(Result, "Reshape", AttributeMap.Empty, Transposed(context, 0, 2, 1, 3), List(0, 0, -1));
        }

        /// <summary>0 where a key counts, which is 1 in the mask [rows, keys], else a large negative number.</summary>
        private string Masked(string mask)
        {
            string counts = Add("Cast", AttributeMap.Empty.With("to", (long)ElementType.Float), Add("Reshape", mask, List(0, 1, 1, -1)));
            return Add("Mul", Add("Sub", Number(1), counts), Number(node.Attributes.Get("mask_filter_value", -10000f)));
        }

        private int? RankOf(string value) =>
            graph.Initializers.TryGetValue(value, out var constant) ? constant.Rank : graph.Inputs.FirstOrDefault(i => i.Name == value)?.Shape?.Rank;

        /// <summary>The biases of queries, keys and values, one behind the other.</summary>
        private string[] Thirds(string bias)
        {
            string thirds = Add("Reshape", bias, List(3, -1));
            return [.. Enumerable.Range(0, 3).Select(i => Add("Gather", thirds, Constant(Tensor.Scalar((long)i))))];
        }

        private void Refuse(bool isSo, string what)
        {
            if (isSo) throw new UnsupportedOperatorException($"Node '{node.DisplayName}' ({node.Domain}.{node.OpType}): {what}, which the managed engine does not run.", node.DisplayName, node.OpType, node.Domain);
        }

        private string Transposed(string x, params long[] order) => Add("Transpose", AttributeMap.Empty.With("perm", order.ToImmutableArray()), x);

        private string Number(double value) => Constant(Tensor.Scalar((float)value));

        private string List(params long[] values) => Constant(Tensor.Create(values, values.Length));

        private string Constant(Tensor value)
        {
            string name = patch.NewName($"{node.DisplayName}_constant");
            patch.SetInitializer(name, value);
            return name;
        }

        private string Add(string opType, params string[] inputs) => Put(null, opType, AttributeMap.Empty, inputs);

        private string Add(string opType, AttributeMap attributes, params string[] inputs) => Put(null, opType, attributes, inputs);

        /// <param name="result">Null: a new name.</param>
        /// <param name="opType">Of the standard.</param>
        /// <param name="attributes">Of the node.</param>
        /// <param name="inputs">Of the node.</param>
        private string Put(string? result, string opType, AttributeMap attributes, params string[] inputs)
        {
            result ??= patch.NewName($"{node.DisplayName}_{opType}");
            patch.Add(Node.Create(result == Result ? node.Name : result, opType, inputs, [result]) with { Attributes = attributes });
            return result;
        }
    }
}
