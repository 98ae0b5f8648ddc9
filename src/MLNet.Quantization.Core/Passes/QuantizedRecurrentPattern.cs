using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Passes;

/// <summary>
/// An LSTM, GRU or RNN that the engine computes in INT8: W and R behind DequantizeLinear (and Reshape), and an input behind
/// DequantizeLinear or, in a model marked dynamic, a float one. Its state is quantized row by row and step by step in either case: no
/// ONNX file can say otherwise.
/// </summary>
/// <param name="Node">The layer.</param>
/// <param name="Dequantize">What makes its input of codes; null in a dynamic layer.</param>
/// <param name="Input">Parameters of those codes.</param>
/// <param name="W">[directions · gates · hidden, inputs].</param>
/// <param name="R">[directions · gates · hidden, hidden].</param>
internal sealed record QuantizedRecurrentPattern(Node Node, Node? Dequantize, CodeParameters? Input, QuantizedConstant W, QuantizedConstant R)
{
    public static QuantizedRecurrentPattern? Match(GraphIndex index, Node node, bool isDynamic, out string reason)
    {
        if (Matrix(index, node.Inputs[1], out reason) is not { } w || Matrix(index, node.Inputs[2], out reason) is not { } r) return null;
        var dequantize = index.ProducerOf(node.Inputs[0], "DequantizeLinear");
        var input = QuantizedValue.PerTensor(index, dequantize);
        if (!RecurrentLayer.HasConstantRest(node, n => index.Constant(n) is not null)) reason = "its bias or peepholes are computed";
        else if (input is null && dequantize is not null) reason = "its input has no constant 8-bit scale for the whole tensor";
        else if (input is null && !isDynamic) reason = "its input is not quantized";
        else if (index.Constant(node.Inputs[0]) is not null) reason = "its input is constant";
        return reason.Length > 0 ? null : new(node, dequantize, input, w, r);
    }

    /// <summary>Codes of W or R as a matrix with one scale, or one a row.</summary>
    private static QuantizedConstant? Matrix(GraphIndex index, string name, out string reason)
    {
        var reshape = index.ProducerOf(name, "Reshape");
        var dequantize = index.ProducerOf(reshape?.Inputs[0] ?? name, "DequantizeLinear");
        int rank = dequantize is null ? 0 : index.Constant(dequantize.Inputs[0])?.Rank ?? 0;
        if (QuantizedConstant.Weights(index, dequantize, Math.Max(0, rank - 2), out reason) is not { } weights) return null;
        int[] dims = weights.Codes.Dims;
        int k = rank < 2 ? 0 : dims[^1];
        if (rank is < 2 or > 3 || k is 0 or > Int8Product.MaxExactK) reason = $"its weights '{name}' have codes of shape {weights.Codes.Shape}, expected rows of 1 to {Int8Product.MaxExactK} elements";
        else if (rank == 3 && dims[0] != 1 && weights.Scales.Length > 1) reason = $"the scales of its weights '{name}' are shared by both directions";
        else if (reshape is not null && !(index.Constant(reshape.Inputs[1])?.ToInt64s() is [_, _, var last] && (last == k || last == -1))) reason = $"its weights '{name}' are reshaped across rows";
        if (reason.Length > 0) return null;
        int rows = weights.Codes.Count / k;
        float[] scales = weights.Scales.Length == 1 ? [.. Enumerable.Repeat(weights.Scales[0], rows)] : weights.Scales;
        return new(Tensor.Create(weights.Codes.Span<sbyte>(), rows, k), scales, null);
    }
}
