using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>A Gather of rows from a constant table, which can be kept as codes: what makes vectors of token ids.</summary>
/// <param name="Node">The node.</param>
/// <param name="TableName">The constant's name; float32 [rows, columns].</param>
internal sealed record EmbeddingLayer(Node Node, string TableName)
{
    /// <summary>A scale beside fewer codes than this takes too large a part of what is saved.</summary>
    private const int LeastColumns = 8;

    /// <summary>Smaller tables are not worth the rounding: 4 KiB of floats.</summary>
    private const int LeastCount = 1024;

    /// <summary>The node of a float graph as an embedding, or null where it is none.</summary>
    public static EmbeddingLayer? Match(Node node, ModelGraph graph) =>
        PicksRows(node) && graph.Initializers.TryGetValue(node.Inputs[0], out var table) && table.Type == ElementType.Float && IsTable(table) ? new(node, node.Inputs[0]) : null;

    /// <summary>The table of codes that the node of a quantized graph picks rows from, a scale for each row; null where it is none.</summary>
    public static QuantizedConstant? MatchQuantized(GraphIndex index, Node node)
    {
        if (!PicksRows(node) || index.ProducerOf(node.Inputs[0], "DequantizeLinear") is not { } dequantize) return null;
        if (index.Constant(dequantize.Inputs[0]) is not { Rank: 2 } || QuantizedConstant.Weights(index, dequantize, 0, out _) is not { } table) return null;
        return table.Scales.Length == table.Codes.Dims[0] ? table : null;
    }

    private static bool PicksRows(Node node) => node is { Domain: "", OpType: "Gather" } && node.Attributes.Get("axis", 0L) is 0 or -2;

    private static bool IsTable(Tensor table) => table.Rank == 2 && table.Dims[0] >= 2 && table.Dims[1] >= LeastColumns && table.Count >= LeastCount;
}
