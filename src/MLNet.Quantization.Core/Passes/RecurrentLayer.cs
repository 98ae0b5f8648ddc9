using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Ops.Recurrent;

namespace MLNet.Quantization.Passes;

/// <summary>An LSTM, GRU or RNN with constant weights W [directions, gates · hidden, inputs] and R [directions, gates · hidden, hidden].</summary>
/// <param name="Node">The node.</param>
/// <param name="Activation">x.</param>
/// <param name="Weights">The constants' names: W and R.</param>
internal sealed record RecurrentLayer(Node Node, string Activation, string[] Weights) : WeightLayer(Node, Activation)
{
    /// <summary>The operators that are quantized.</summary>
    public static new bool IsCandidate(Node node) => node.Domain.Length == 0 && node.OpType is "LSTM" or "GRU" or "RNN";

    /// <summary>The node as a recurrent layer, or null with the reason why it cannot be quantized.</summary>
    public static new RecurrentLayer? Match(Node node, ModelGraph graph, out string reason)
    {
        reason = "";
        foreach (string name in node.Inputs.Skip(1).Take(2))
        {
            if (!graph.Initializers.TryGetValue(name, out var w)) reason = $"'{name}' is computed, only constant weights are quantized";
            else if (w.Type != ElementType.Float || w.Rank != 3) reason = $"the weights '{name}' are {w}, expected Float with 3 axes";
            else if (w.Count == 0) reason = $"the weights '{name}' are empty";
            else if (w.Dims[2] > Int8Product.MaxExactK) reason = $"the weights '{name}' sum over {w.Dims[2]} elements, supported are {Int8Product.MaxExactK}";
            if (reason.Length > 0) return null;
        }
        if (graph.Initializers.ContainsKey(node.Inputs[0])) reason = "both factors are constant";
        else if (!HasConstantRest(node, n => graph.Initializers.ContainsKey(n))) reason = "its bias or peepholes are computed";
        return reason.Length > 0 ? null : new(node, node.Inputs[0], [node.Inputs[1], node.Inputs[2]]);
    }

    /// <summary>True where bias and peepholes are absent or constant.</summary>
    public static bool HasConstantRest(Node node, Func<string, bool> isConstant)
    {
        var at = RecurrentForm.Inputs(engine: false);
        int[] rest = node.OpType == "LSTM" ? [at.Bias, at.Peepholes] : [at.Bias];
        return rest.All(i => node.Input(i) is not { } name || isConstant(name));
    }
}
