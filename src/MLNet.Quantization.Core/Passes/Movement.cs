using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Operators that only rearrange, select or repeat elements, so that they do the same to codes as to what the codes stand for. A maximum is
/// a selection, since quantizing keeps the order.
/// </summary>
internal static class Movement
{
    private static readonly ImmutableHashSet<string> OfFirstInput = ImmutableHashSet.Create(
        StringComparer.Ordinal, "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Slice", "Gather", "Expand", "Tile", "MaxPool", "GlobalMaxPool",
        "DepthToSpace", "SpaceToDepth");

    public static bool Is(Node node) => node.Domain.Length == 0 && node.Outputs.Length == 1 && (OfFirstInput.Contains(node.OpType) || node.OpType == "Concat");

    /// <summary>How many of the inputs, from the first on, are what is moved; the others say how.</summary>
    public static int DataInputs(Node node) => node.OpType == "Concat" ? node.Inputs.Length : 1;

    /// <summary>The node reading <paramref name="data"/> instead.</summary>
    public static Node WithData(Node node, IReadOnlyList<string> data, string output) =>
        node with { Inputs = [.. data, .. node.Inputs.Skip(data.Count)], Outputs = [output] };
}
