using System.Collections.Immutable;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Recurrent;

/// <summary>Reads the attributes <c>activations</c>, <c>activation_alpha</c> and <c>activation_beta</c>.</summary>
internal static class GateActivations
{
    /// <summary>Functions with their parameters where the node gives none; NaN for those that have none.</summary>
    private static readonly ImmutableDictionary<string, GateActivation> ByName = new Dictionary<string, GateActivation>(StringComparer.OrdinalIgnoreCase)
    {
        ["Affine"] = new(GateFunctionKind.Affine, 1, 0),
        ["Elu"] = new(GateFunctionKind.Elu, 1, float.NaN),
        ["HardSigmoid"] = new(GateFunctionKind.HardSigmoid, 0.2f, 0.5f),
        ["LeakyRelu"] = new(GateFunctionKind.LeakyRelu, 0.01f, float.NaN),
        ["Relu"] = new(GateFunctionKind.Relu, float.NaN, float.NaN),
        ["ScaledTanh"] = new(GateFunctionKind.ScaledTanh, 1, 1),
        ["Sigmoid"] = new(GateFunctionKind.Sigmoid, float.NaN, float.NaN),
        ["Softplus"] = new(GateFunctionKind.Softplus, float.NaN, float.NaN),
        ["Softsign"] = new(GateFunctionKind.Softsign, float.NaN, float.NaN),
        ["Tanh"] = new(GateFunctionKind.Tanh, float.NaN, float.NaN),
        ["ThresholdedRelu"] = new(GateFunctionKind.ThresholdedRelu, 1, float.NaN),
    }.ToImmutableDictionary(StringComparer.OrdinalIgnoreCase);

    /// <summary>By direction. Parameters go, in order, to the functions that take them, as the ONNX standard says.</summary>
    public static ImmutableArray<ImmutableArray<GateActivation>> Read(OpContext node, int directions, string[] usual)
    {
        var names = node.Attribute("activations", ImmutableArray<string>.Empty);
        if (names.IsEmpty) names = [.. Enumerable.Range(0, directions).SelectMany(_ => usual)];
        if (names.Length != directions * usual.Length)
            throw node.Malformed($"activations names {names.Length} functions, expected {directions * usual.Length}: {usual.Length} a direction");
        var alphas = new Queue<float>(node.Attribute("activation_alpha", ImmutableArray<float>.Empty));
        var betas = new Queue<float>(node.Attribute("activation_beta", ImmutableArray<float>.Empty));
        var all = new List<GateActivation>();
        foreach (string name in names)
        {
            if (!ByName.TryGetValue(name, out var function)) throw node.Malformed($"activation '{name}' is none of {string.Join(", ", ByName.Keys.Order(StringComparer.Ordinal))}");
            if (!float.IsNaN(function.Alpha) && alphas.TryDequeue(out float alpha)) function = function with { Alpha = alpha };
            if (!float.IsNaN(function.Beta) && betas.TryDequeue(out float beta)) function = function with { Beta = beta };
            all.Add(function);
        }
        return [.. all.Chunk(usual.Length).Select(c => c.ToImmutableArray())];
    }
}
