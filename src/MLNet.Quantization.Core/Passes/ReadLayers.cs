using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>What a quantized graph tells of its layers when it is read from a file: those that lowering finds, and why it leaves the others.</summary>
internal static class ReadLayers
{
    /// <summary>Operators of the standard that are INT8 as they stand.</summary>
    private static readonly ImmutableHashSet<string> Integer = ImmutableHashSet.Create(StringComparer.Ordinal, "QLinearMatMul", "MatMulInteger", "QLinearConv", "ConvInteger");

    public static List<QuantizedLayer> Of(ModelGraph graph)
    {
        graph = LowerQuantized.Normalize(graph);
        bool isDynamic = LowerQuantized.IsDynamic(graph);
        var index = new GraphIndex(graph);
        var marked = ActivationProduct.Marked(graph);
        var layers = new List<QuantizedLayer>();
        foreach (var node in graph.Nodes)
        {
            if (ActivationProduct.Match(node, graph) is not null && !node.Inputs.Any(i => IsDequantizedConstant(index, i))) layers.Add(Product(index, node, marked));
            else if (WeightLayer.IsCandidate(node)) layers.Add(Describe(index, node, isDynamic));
            else if (EmbeddingLayer.MatchQuantized(index, node) is not null) layers.Add(Embedding(index, node, layers));
            else if (EmbeddingLayer.Match(node, graph) is { } embedding) layers.Add(PlaceEmbeddings.Left(graph, embedding, "its table is not quantized"));
            else if (node.Domain.Length == 0 && Integer.Contains(node.OpType))
            {
                long bytes = node.Inputs.Sum(i => (long)(index.Constant(i)?.Bytes.Length ?? 0));
                layers.Add(new(node.DisplayName, node.OpType) { IsInt8 = true, WeightBytesBefore = node.Inputs.Sum(i => 4L * (index.Constant(i)?.Count ?? 0)), WeightBytesAfter = bytes });
            }
        }
        return layers;
    }

    private static bool IsDequantizedConstant(GraphIndex index, string value) => index.ProducerOf(value, "DequantizeLinear") is { } node && index.Constant(node.Inputs[0]) is not null;

    private static QuantizedLayer Product(GraphIndex index, Node node, IReadOnlySet<string> marked)
    {
        var pattern = QuantizedProductPattern.Match(index, node);
        bool isInt8 = pattern is not null || marked.Contains(node.Outputs[0]);
        return new(node.DisplayName, node.OpType)
        {
            IsInt8 = isInt8,
            Reason = isInt8 ? ActivationProduct.Note : "a product of two activations whose factors are not quantized",
            InputMin = pattern?.A.Range.Min,
            InputMax = pattern?.A.Range.Max,
            InputScale = pattern?.A.Affine.Scale,
            InputZeroPoint = pattern?.A.Affine.ZeroPoint,
        };
    }

    /// <summary>A table counts where it is read first.</summary>
    private static QuantizedLayer Embedding(GraphIndex index, Node node, List<QuantizedLayer> before)
    {
        var owner = index.Consumers[node.Inputs[0]].First(n => n.OpType == "Gather");
        bool isOwner = ReferenceEquals(owner, node) || !before.Any(l => l.Name == owner.DisplayName);
        var (real, codes) = isOwner ? Size(index, node.Inputs[0]) : default;
        return new(node.DisplayName, node.OpType) { IsInt8 = true, Reason = isOwner ? "" : $"its table is that of '{owner.DisplayName}'", WeightBytesBefore = real, WeightBytesAfter = codes };
    }

    private static QuantizedLayer Describe(GraphIndex index, Node node, bool isDynamic)
    {
        string reason;
        var (isInt8, input) = RecurrentLayer.IsCandidate(node)
            ? QuantizedRecurrentPattern.Match(index, node, isDynamic, out reason) is { } recurrent ? (true, recurrent.Input) : default
            : QuantizedLinearPattern.Match(index, node, isDynamic, out reason) is { } linear ? (true, linear.Input) : default;
        var parts = node.Inputs.Skip(1).Where(i => i.Length > 0).Select(i => Size(index, i)).ToList();
        var range = input?.Range;
        return new(node.DisplayName, node.OpType)
        {
            IsInt8 = isInt8,
            Reason = reason,
            WeightBytesBefore = parts.Sum(s => s.Before),
            WeightBytesAfter = parts.Sum(s => s.After),
            InputMin = range?.Min,
            InputMax = range?.Max,
            InputScale = input?.Affine.Scale,
            InputZeroPoint = input?.Affine.ZeroPoint,
        };
    }

    private static (long Before, long After) Size(GraphIndex index, string name)
    {
        if (index.Constant(name) is { } real) return (real.Bytes.Length, real.Bytes.Length);
        name = index.ProducerOf(name, "Reshape")?.Inputs[0] ?? name;
        if (index.ProducerOf(name, "DequantizeLinear") is not { } node || index.Constant(node.Inputs[0]) is not { } codes) return (0, 0);
        // The scales of a bias are products of other scales and take no room of their own.
        long scales = codes.Type == ElementType.Int32 ? 0 : index.Constant(node.Inputs[1])?.Bytes.Length ?? 0;
        return (4L * codes.Count, codes.Bytes.Length + scales);
    }
}
