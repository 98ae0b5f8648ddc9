using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Numerics;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Ops.Quantized;

namespace MLNet.Quantization.Passes;

/// <summary>
/// DequantizeLinear, element-wise functions of it alone, QuantizeLinear: one look-up by code. The table holds what these very steps give
/// for each of the 256 codes, so the bits stay.
/// </summary>
internal static class TabulateCodes
{
    private static readonly ImmutableHashSet<string> Unary = ImmutableHashSet.Create(
        StringComparer.Ordinal, "Abs", "Celu", "Clip", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Mish", "Neg", "PRelu", "Reciprocal", "Relu", "Selu", "Sigmoid",
        "Softplus", "Softsign", "Sqrt", "Tanh", "ThresholdedRelu");

    private static readonly ImmutableHashSet<string> Binary = ImmutableHashSet.Create(StringComparer.Ordinal, "Add", "Div", "Max", "Min", "Mul", "Pow", "Sub");

    public static ModelGraph Apply(ModelGraph graph)
    {
        var patch = new GraphPatch(graph);
        var index = new GraphIndex(graph);
        foreach (var quantize in graph.Nodes)
        {
            if (quantize.OpType != "QuantizeLinear" || QuantizedValue.PerTensor(index, quantize) is not { } output) continue;
            if (Chain(index, quantize, out var dequantize) is not { } functions || QuantizedValue.PerTensor(index, dequantize) is not { } input) continue;
            // A chain begins at codes that the graph computes or is given; constants are folded.
            if (index.Constant(dequantize!.Inputs[0]) is not null || TypeOf(index, graph, dequantize) is { } declared && declared != input.Type) continue;
            string table = patch.NewName($"{quantize.DisplayName}_table");
            patch.SetInitializer(table, Table(graph, functions, input, output));
            foreach (var function in functions) patch.Remove(function);
            patch.Replace(quantize, new Node(quantize.Name, nameof(CodeTable), [dequantize.Inputs[0], table], quantize.Outputs) { Domain = OperatorSet.EngineDomain });
        }
        return patch.Apply();
    }

    /// <summary>The declared type of codes that are a graph input, else null.</summary>
    private static ElementType? TypeOf(GraphIndex index, ModelGraph graph, Node dequantize) =>
        index.IsInput(dequantize.Inputs[0]) ? graph.Inputs.First(i => i.Name == dequantize.Inputs[0]).Type : null;

    /// <summary>The functions between the quantizers in the order of the data, each read by the next alone; null where something else stands there.</summary>
    private static List<Node>? Chain(GraphIndex index, Node quantize, out Node? dequantize)
    {
        var functions = new List<Node>();
        string value = quantize.Inputs[0];
        while ((dequantize = index.ProducerOf(value, "DequantizeLinear")) is null)
        {
            if (index.Producers.GetValueOrDefault(value) is not { Domain: "" } node || index.OnlyConsumerOf(value) is null) return null;
            if (Operand(index, node) is not { } operand || !OperatorSet.Supports(node)) return null;
            functions.Insert(0, node);
            value = operand;
        }
        return functions;
    }

    /// <summary>The one value that the node is an element-wise function of, its other inputs being constant numbers; else null.</summary>
    public static string? Operand(GraphIndex index, Node node)
    {
        if (node.Domain.Length > 0 || node.Outputs.Length != 1) return null;
        if (Unary.Contains(node.OpType)) return node.Inputs.Skip(1).All(i => i.Length == 0 || index.Constant(i) is { Count: 1 }) ? node.Inputs[0] : null;
        if (!Binary.Contains(node.OpType) || node.Inputs.Length != 2) return null;
        if (index.Constant(node.Inputs[1]) is { Count: 1, Rank: <= 1 }) return node.Inputs[0];
        return index.Constant(node.Inputs[0]) is { Count: 1, Rank: <= 1 } ? node.Inputs[1] : null;
    }

    private static Tensor Table(ModelGraph graph, List<Node> functions, CodeParameters input, CodeParameters output)
    {
        var values = new float[CodeTable.Codes];
        for (int bits = 0; bits < values.Length; bits++) values[bits] = Quantizer.Value(input.Type == ElementType.Int8 ? (sbyte)bits : bits, input.Affine);
        var at = Tensor.Create(values, values.Length);
        foreach (var node in functions)
        {
            var facts = node.Inputs.Select(i => i.Length == 0 ? null : ValueFact.Of(graph.Initializers.TryGetValue(i, out var number) ? new Tensor(number.Type, [], number.Bytes) : at));
            at = Evaluator.Evaluate(OperatorSet.For(node), new OpContext(node, graph.Opset, [.. facts]))[0];
        }
        var codes = Array.ConvertAll(at.Span<float>().ToArray(), v => (byte)Quantizer.Code(v, output.Affine, output.Grid));
        return new Tensor(output.Type, [codes.Length], codes);
    }
}
