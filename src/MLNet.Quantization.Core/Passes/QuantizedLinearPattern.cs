using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Ops.Quantized;

namespace MLNet.Quantization.Passes;

/// <summary>
/// A Gemm, MatMul, Conv or ConvTranspose between quantizers that the engine computes in INT8: weights behind DequantizeLinear, and an input behind
/// DequantizeLinear or, in a model marked dynamic, a float one. The pass that lowers and the report of a file both ask here.
/// </summary>
/// <param name="Node">The layer.</param>
/// <param name="Dequantize">What makes its input of codes; null in a dynamic layer.</param>
/// <param name="Input">Parameters of those codes.</param>
/// <param name="Weights">[N, K] where <paramref name="Transposed"/>, else [K, N]; of a Conv [N, channels of a group, kernel...], of a ConvTranspose [channels, N / group, kernel...].</param>
/// <param name="Transposed">One channel's weights lie together.</param>
/// <param name="Bias">N values, or null for none.</param>
/// <param name="BiasCodes">The bias as it is stored at scale Sa · Sw (empty for none); null where only the float form exists.</param>
/// <param name="Last">The layer, or the Add behind a MatMul that adds the bias: what makes the layer's result.</param>
internal sealed record QuantizedLinearPattern(
    Node Node, Node? Dequantize, CodeParameters? Input, QuantizedConstant Weights, bool Transposed, float[]? Bias, int[]? BiasCodes, Node Last)
{
    /// <summary>Another tool may have rounded Sa · Sw once more or less.</summary>
    private const float BiasScaleTolerance = 1e-6f;

    public bool IsConvolution => Node.OpType is "Conv" or "ConvTranspose";

    public bool IsTransposedConvolution => Node.OpType == "ConvTranspose";

    public static QuantizedLinearPattern? Match(GraphIndex index, Node node, bool isDynamic, out string reason)
    {
        bool gemm = node.OpType == "Gemm", turned = node.OpType == "ConvTranspose", conv = turned || node.OpType == "Conv", transposed = conv || gemm && node.Attributes.Get("transB", 0L) != 0;
        var quantized = QuantizedConstant.Weights(index, index.ProducerOf(node.Inputs[1], "DequantizeLinear"), transposed && !turned ? 0 : 1, out reason);
        if (quantized is null) return null;
        var dequantize = index.ProducerOf(node.Inputs[0], "DequantizeLinear");
        var input = QuantizedValue.PerTensor(index, dequantize);
        if (conv && quantized.Codes.Rank is < 3 or > 5) reason = $"its weights have shape {quantized.Codes.Shape}, expected one to three spatial axes";
        else if (conv && (quantized.Codes.Count == 0 || quantized.Codes.Dims[0] % LinearLayer.GroupsOf(node) != 0)) reason = $"its weights have shape {quantized.Codes.Shape}, in {LinearLayer.GroupsOf(node)} groups";
        else if (turned && LinearLayer.PhasesOf(node) > TransposedConvolution.MostPhases) reason = $"its strides make {LinearLayer.PhasesOf(node)} phases, supported are {TransposedConvolution.MostPhases}";
        else if (conv && quantized.Codes.Count > (long)QuantizedConv.MaxWindow * LinearLayer.OutputsOf(node, quantized.Codes)) reason = $"its windows have more than {QuantizedConv.MaxWindow} elements";
        else if (!conv && quantized.Codes.Rank != 2) reason = $"its weights have shape {quantized.Codes.Shape}, expected a matrix";
        else if (gemm && node.Attributes.Get("transA", 0L) != 0) reason = "transA is set";
        else if (gemm && node.Attributes.Get("alpha", 1f) != 1) reason = "alpha is not 1";
        else if (gemm && node.Input(2) is not null && node.Attributes.Get("beta", 1f) != 1) reason = "beta is not 1";
        else if (input is null && dequantize is not null) reason = "its input has no constant 8-bit scale for the whole tensor";
        else if (input is null && !isDynamic) reason = "its input is not quantized";
        else if (index.Constant(node.Inputs[0]) is not null) reason = "its input is constant";
        if (reason.Length > 0) return null;

        int n = turned ? LinearLayer.OutputsOf(node, quantized.Codes) : quantized.Codes.Dims[transposed ? 0 : 1];
        // The scales of one group stand for those of each.
        if (turned && quantized.Scales.Length > 1) quantized = quantized with { Scales = [.. Enumerable.Range(0, n).Select(j => quantized.Scales[j % quantized.Scales.Length])] };
        var (last, biasName) = gemm || conv ? (node, node.Input(2)) : AddBehind(index, node, n);
        if (biasName is null) return new(node, dequantize, input, quantized, transposed, null, [], last);
        if (BiasValues(index, biasName, n) is not { } bias)
        {
            reason = $"its bias '{biasName}' is not a constant row of {n} values";
            return null;
        }
        int[]? codes = input is { } a && bias.Codes is { } b && FitsProducts(b, a.Affine.Scale, quantized, n) ? b.Codes.Span<int>().ToArray() : null;
        return new(node, dequantize, input, quantized, transposed, bias.Real, codes, last);
    }

    /// <summary>MatMul, then Add of a constant row: the row is the bias. Adding it after or within the product's epilogue gives the same bits.</summary>
    private static (Node Last, string? Bias) AddBehind(GraphIndex index, Node node, int n)
    {
        if (index.OnlyConsumerOf(node.Outputs[0]) is not { OpType: "Add", Domain: "" } add) return (node, null);
        string other = add.Inputs[add.Inputs[0] == node.Outputs[0] ? 1 : 0];
        return BiasValues(index, other, n) is null ? (node, null) : (add, other);
    }

    private static (float[] Real, QuantizedConstant? Codes)? BiasValues(GraphIndex index, string name, int n)
    {
        if (index.Constant(name) is { } real)
        {
            bool row = real is { Type: ElementType.Float, Rank: 1 or 2 } && real.Count == n && real.Dims[^1] == n;
            return row ? (real.Span<float>().ToArray(), null) : null;
        }
        if (QuantizedConstant.Bias(index, index.ProducerOf(name, "DequantizeLinear")) is not { Codes.Rank: 1 } codes || codes.Codes.Count != n) return null;
        var values = new float[n];
        for (int j = 0; j < n; j++) values[j] = codes.Codes.Span<int>()[j] * codes.ScaleOf(j);
        return (values, codes);
    }

    private static bool FitsProducts(QuantizedConstant bias, float inputScale, QuantizedConstant weights, int n)
    {
        for (int j = 0; j < n; j++)
        {
            float product = inputScale * weights.ScaleOf(j);
            if (!(MathF.Abs(product - bias.ScaleOf(j)) <= BiasScaleTolerance * product)) return false;
        }
        return true;
    }
}
