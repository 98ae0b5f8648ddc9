using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>The slope of a PRelu where it is a constant for each channel.</summary>
internal static class Slopes
{
    /// <param name="index">The graph.</param>
    /// <param name="node">A PRelu.</param>
    /// <param name="rank">Of its input, whose axis 1 are the channels; null where that is not known.</param>
    /// <returns>One number a channel, or null.</returns>
    public static float[]? ByChannel(GraphIndex index, Node node, int? rank)
    {
        if (rank is null || index.Constant(node.Inputs[1]) is not { Type: ElementType.Float } slope || slope.Rank > rank) return null;
        int axis = slope.Rank - rank.Value + 1;
        return axis >= 0 && slope.Count > 1 && slope.Dims[axis] == slope.Count ? slope.Span<float>().ToArray() : null;
    }
}
