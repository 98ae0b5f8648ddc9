using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Ops.Quantized;

namespace MLNet.Quantization.Passes;

/// <summary>
/// A Gemm or MatMul with constant weights, Y = Alpha · X · W + Beta · bias, or a Conv, whose windows are the rows of X: its weights [N,
/// channels of a group, kernel...] are N rows of K. So are those of a ConvTranspose, [channels, N / group, kernel...], put in that order.
/// </summary>
/// <param name="Node">The node.</param>
/// <param name="Activation">X, float32 [..., K].</param>
/// <param name="WeightsName">The constant's name.</param>
/// <param name="Transposed">One output's weights lie together in <see cref="FoldedWeights"/>.</param>
/// <param name="K">Elements of one sum.</param>
/// <param name="N">Output columns.</param>
/// <param name="Bias">The constant's name, 1 or N elements, or null.</param>
/// <param name="Alpha">Factor of the product.</param>
/// <param name="Beta">Factor of the bias.</param>
internal sealed record LinearLayer(Node Node, string Activation, string WeightsName, bool Transposed, int K, int N, string? Bias, float Alpha, float Beta)
    : WeightLayer(Node, Activation)
{
    /// <summary>The operators that are quantized.</summary>
    public static new bool IsCandidate(Node node) => node.Domain.Length == 0 && node.OpType is "Gemm" or "MatMul" or "Conv" or "ConvTranspose";

    /// <summary>The node as a linear layer, or null with the reason why it cannot be quantized.</summary>
    public static new LinearLayer? Match(Node node, ModelGraph graph, out string reason)
    {
        reason = "";
        bool gemm = node.OpType == "Gemm", turned = node.OpType == "ConvTranspose", conv = turned || node.OpType == "Conv";
        string activation = node.Inputs[0], weights = node.Inputs[1];
        if (ActivationProduct.Match(node, graph) is not null) reason = "a product of two activations, which stays float unless ActivationProducts is set";
        if (!graph.Initializers.TryGetValue(weights, out var w)) reason = reason.Length > 0 ? reason : $"'{weights}' is computed, only a product with constant weights is quantized";
        else if (w.Type != ElementType.Float) reason = $"the weights are {w.Type}, expected Float";
        else if (w.Rank != 2 && !conv) reason = $"the weights have shape {w.Shape}, expected a matrix";
        else if (w.Count == 0) reason = "the weights are empty";
        else if (conv && w.Rank is < 3 or > 5) reason = $"the weights have shape {w.Shape}, expected one to three spatial axes";
        else if (conv && w!.Dims[0] % GroupsOf(node) != 0) reason = $"{w.Dims[0]} channels do not fall into {GroupsOf(node)} groups";
        else if (conv && w.Count / OutputsOf(node, w) > QuantizedConv.MaxWindow) reason = $"its windows have {w.Count / OutputsOf(node, w)} elements, supported are {QuantizedConv.MaxWindow}";
        else if (turned && PhasesOf(node) > TransposedConvolution.MostPhases) reason = $"its strides make {PhasesOf(node)} phases, supported are {TransposedConvolution.MostPhases}";
        else if (graph.Initializers.ContainsKey(activation)) reason = "both factors are constant";
        else if (gemm && node.Attributes.Get("transA", 0L) != 0) reason = "transA is set";
        if (reason.Length > 0) return null;

        bool transposed = conv || gemm && node.Attributes.Get("transB", 0L) != 0;
        int n = turned ? OutputsOf(node, w!) : w!.Dims[transposed ? 0 : 1], k = w!.Count / n;
        float alpha = gemm ? node.Attributes.Get("alpha", 1f) : 1, beta = gemm ? node.Attributes.Get("beta", 1f) : 1;
        string? bias = gemm || conv ? node.Input(2) : null;
        if (bias is not null && !IsRowBias(graph, bias, n, ref reason)) return null;
        return new(node, activation, weights, transposed, k, n, bias, alpha, beta);
    }

    /// <summary>True where the axis of outputs of the constant is not the first, as <see cref="Transposed"/> says of the folded weights.</summary>
    public bool IsTurned => Node.OpType == "ConvTranspose";

    public static long GroupsOf(Node node) => Math.Max(1, node.Attributes.Get("group", 1L));

    /// <summary>Channels that a convolution makes, from its weights; its groups divide their first extent.</summary>
    public static int OutputsOf(Node node, Tensor weights) => node.OpType == "ConvTranspose" ? weights.Dims[1] * (int)GroupsOf(node) : weights.Dims[0];

    /// <summary>Ordinary convolutions that a ConvTranspose falls into.</summary>
    public static long PhasesOf(Node node) => node.Attributes.Get("strides", ImmutableArray<long>.Empty).Aggregate(1L, (product, s) => product * Math.Clamp(s, 1, 1 << 16));

    /// <summary>Weights of a ConvTranspose by output, [groups, outputs of a group, channels of a group, kernel], from the constant's order, or, with <paramref name="back"/>, in it again.</summary>
    public T[] Turn<T>(T[] weights, int[] dims, bool back = false)
    {
        int groups = (int)GroupsOf(Node), channels = dims[0] / groups, outputs = dims[1], taps = weights.Length / dims[0] / outputs;
        var turned = new T[weights.Length];
        for (int g = 0; g < groups; g++)
            for (int c = 0; c < channels; c++)
                for (int f = 0; f < outputs; f++)
                {
                    int stored = ((((g * channels) + c) * outputs) + f) * taps, byOutput = ((((g * outputs) + f) * channels) + c) * taps;
                    Array.Copy(weights, back ? byOutput : stored, turned, back ? stored : byOutput, taps);
                }
        return turned;
    }

    /// <summary>The weights with Alpha folded in, [N, K] where <see cref="Transposed"/>.</summary>
    public float[] FoldedWeights(ModelGraph graph)
    {
        var w = graph.Initializers[WeightsName].Span<float>().ToArray();
        if (IsTurned) return Turn(w, graph.Initializers[WeightsName].Dims);
        if (Alpha != 1) for (int i = 0; i < w.Length; i++) w[i] *= Alpha;
        return w;
    }

    /// <summary>The bias with Beta folded in, N elements; empty for none.</summary>
    public float[] FoldedBias(ModelGraph graph)
    {
        if (Bias is null) return [];
        var b = graph.Initializers[Bias].Span<float>();
        var result = new float[N];
        for (int j = 0; j < N; j++) result[j] = Beta * b[b.Length == 1 ? 0 : j];
        return result;
    }

    private static bool IsRowBias(ModelGraph graph, string bias, int n, ref string reason)
    {
        if (!graph.Initializers.TryGetValue(bias, out var c)) reason = $"the bias '{bias}' is computed";
        else if (c.Type != ElementType.Float || c.Rank > 2 || c.Rank == 2 && c.Dims[0] != 1 || c.Count != 1 && c.Count != n) reason = $"the bias is {c}, expected Float[{n}]";
        return reason.Length == 0;
    }
}
