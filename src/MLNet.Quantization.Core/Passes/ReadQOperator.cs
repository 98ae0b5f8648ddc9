using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Brings operators that compute on codes (QLinearConv, QLinearMatMul, ONNX Runtime's QGemm, QLinearAdd and kin) into QDQ form: the float
/// operator between DequantizeLinear and QuantizeLinear, which is what they mean, and what lowering looks for. Where scales that decide the
/// form are computed, a node stays as it is.
/// </summary>
internal static class ReadQOperator
{
    private const string Prefix = "QLinear";

    private static readonly ImmutableHashSet<string> OfStandard = ImmutableHashSet.Create(StringComparer.Ordinal, "QLinearConv", "QLinearMatMul");

    private static readonly ImmutableHashSet<string> OfRuntime = ImmutableHashSet.Create(
        StringComparer.Ordinal, "MatMulIntegerToFloat", "QGemm", "QLinearAdd", "QLinearAveragePool", "QLinearConcat", "QLinearGlobalAveragePool", "QLinearLeakyRelu", "QLinearMul", "QLinearSigmoid");

    /// <summary>True where the pass knows the operator.</summary>
    public static bool Knows(Node node) => node.Outputs.Length == 1 && (node.Domain.Length == 0 ? OfStandard : node.Domain == WriteQOperator.RuntimeDomain ? OfRuntime : []).Contains(node.OpType);

    public static ModelGraph Apply(ModelGraph graph)
    {
        var patch = new GraphPatch(graph);
        var index = new GraphIndex(graph);
        foreach (var node in graph.Nodes.Where(Knows)) new Reader(index, patch, node).Read();
        return patch.Apply();
    }

    private sealed class Reader(GraphIndex index, GraphPatch patch, Node node)
    {
        public void Read()
        {
            switch (node.OpType)
            {
                case "QLinearConv":
                    Layer("Conv", (0, 1, 2), (3, 4, 5), 0, bias: 8, output: 6);
                    break;
                case "QLinearMatMul":
                    Layer("MatMul", (0, 1, 2), (3, 4, 5), 1, bias: -1, output: 6);
                    break;
                case "QGemm":
                    Layer("Gemm", (0, 1, 2), (3, 4, 5), node.Attributes.Get("transB", 0L) != 0 ? 0 : 1, bias: 6, output: 7);
                    break;
                case "MatMulIntegerToFloat":
                    Layer("MatMul", (0, 2, 4), (1, 3, 5), 1, bias: -1, output: -1);
                    break;
                case "QLinearConcat":
                    Between([.. Enumerable.Range(0, Math.Max(0, (node.Inputs.Length - 2) / 3)).Select(i => (3 * i) + 2)], 0);
                    break;
                case "QLinearAdd" or "QLinearMul":
                    Between([0, 3], 6);
                    break;
                default:
                    if (node.Attributes.Get("channels_last", 0L) == 0) Between([0], 3);
                    break;
            }
        }

        /// <param name="type">The float operator.</param>
        /// <param name="x">Inputs that are codes, scale and zero point of the activations.</param>
        /// <param name="w">Those of the weights.</param>
        /// <param name="axis">Of the channels of the weights.</param>
        /// <param name="bias">The input that is the int32 bias; -1 for none.</param>
        /// <param name="output">The input that is the scale of what comes out; -1 or omitted for float32.</param>
        private void Layer(string type, (int Codes, int Scale, int Zero) x, (int Codes, int Scale, int Zero) w, int axis, int bias, int output)
        {
            if (node.Input(x.Codes) is not { } codes || node.Input(w.Codes) is not { } weights) return;
            if (ScalesAt(x.Scale) is not [var scale] || ScalesAt(w.Scale) is not { Length: > 0 } scales) return;
            // A scale for each column of a stack of matrices lies along another axis.
            if (scales.Length > 1 && type == "MatMul" && index.Constant(weights) is not { Rank: 2 }) return;
            if (output >= 0 && node.Input(output) is not null && node.Input(output + 1) is null) return;
            var biasCodes = bias < 0 ? null : index.Constant(node.Input(bias));
            if (bias >= 0 && node.Input(bias) is not null && biasCodes is not { Type: ElementType.Int32, Rank: 1 or 2 }) return;
            if (biasCodes is not null && scales.Length > 1 && scales.Length != biasCodes.Dims[^1]) return;
            var inputs = new List<string> { Dequantize(codes, node.Input(x.Scale)!, node.Input(x.Zero)), Dequantize(weights, node.Input(w.Scale)!, node.Input(w.Zero), scales.Length > 1 ? axis : null) };
            if (biasCodes is not null) inputs.Add(Bias(node.Input(bias)!, biasCodes, Array.ConvertAll(scales, s => scale * s * node.Attributes.Get("alpha", 1f))));
            string made = node.Outputs[0];
            if (type == "MatMul" && output < 0 && node.Input(6) is { } row)
            {
                made = patch.NewName($"{made}_product");
                patch.Add(Node.Create(patch.NewName($"{made}_Add"), "Add", [made, row], node.Outputs.AsSpan()));
            }
            Put(type, inputs, made, output >= 0 && node.Input(output) is not null ? output : -1);
        }

        /// <summary>An int32 bias has the scale of the sums.</summary>
        private string Bias(string name, Tensor codes, float[] scales)
        {
            string scale = patch.NewName($"{name}_scale");
            patch.SetInitializer(scale, scales.Length == 1 ? Tensor.Scalar(scales[0]) : Tensor.Create(scales, scales.Length));
            return Dequantize(name, scale, null, scales.Length > 1 ? codes.Rank - 1 : null);
        }

        /// <param name="codes">Inputs that are codes; scale and zero point follow each.</param>
        /// <param name="output">The input that is the scale of what comes out; its zero point follows.</param>
        private void Between(int[] codes, int output)
        {
            if (codes.Length == 0 || node.Input(output) is null || node.Input(output + 1) is null || codes.Any(c => node.Input(c) is null || node.Input(c + 1) is null)) return;
            Put(node.OpType[Prefix.Length..], [.. codes.Select(c => Dequantize(node.Inputs[c], node.Inputs[c + 1], node.Input(c + 2)))], node.Outputs[0], output);
        }

        private void Put(string type, List<string> inputs, string made, int output)
        {
            patch.Remove(node);
            string real = output < 0 ? made : patch.NewName($"{made}_float");
            patch.Add(new Node(node.Name, type, [.. inputs], [real]) { Attributes = node.Attributes.Without("channels_last") });
            if (output >= 0) patch.Add(Node.Create(patch.NewName($"{made}_QuantizeLinear"), "QuantizeLinear", [real, node.Inputs[output], node.Inputs[output + 1]], [made]));
        }

        private string Dequantize(string codes, string scale, string? zero, int? axis = null)
        {
            string real = patch.NewName($"{codes}_float");
            var made = Node.Create(patch.NewName($"{real}_DequantizeLinear"), "DequantizeLinear", zero is null ? [codes, scale] : [codes, scale, zero], [real]);
            patch.Add(axis is { } a ? made with { Attributes = AttributeMap.Empty.With("axis", a) } : made);
            return real;
        }

        private float[]? ScalesAt(int input) => index.Constant(node.Input(input)) is { Type: ElementType.Float, Rank: <= 1 } scales ? scales.Span<float>().ToArray() : null;
    }
}
