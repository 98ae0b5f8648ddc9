using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>Gives open axes of an input their extents. A symbol means one extent wherever it stands: it is replaced in all inputs and outputs.</summary>
internal static class FixInputShape
{
    /// <param name="graph">The model.</param>
    /// <param name="input">The input's name; it is one of the graph's.</param>
    /// <param name="extents">One an axis; -1 leaves an axis as it is.</param>
    /// <exception cref="ArgumentException">The rank differs, an extent is below 1, an axis is fixed to another extent, or one symbol gets two.</exception>
    public static ModelGraph Apply(ModelGraph graph, string input, ReadOnlySpan<long> extents)
    {
        string given = $"[{string.Join(',', extents.ToArray())}]";
        var value = graph.Inputs.First(i => i.Name == input);
        var dims = value.Shape?.Dims.ToArray() ?? Enumerable.Repeat(Dimension.Unknown, extents.Length).ToArray();
        if (dims.Length != extents.Length)
            throw new ArgumentException($"Input '{input}' of the model has {dims.Length} axes, {value.Shape}; given are {extents.Length}, {given}.", nameof(extents));
        var symbols = new Dictionary<string, long>(StringComparer.Ordinal);
        for (int axis = 0; axis < dims.Length; axis++)
        {
            long extent = extents[axis];
            if (extent == -1) continue;
            if (extent is < 1 or > int.MaxValue)
                throw new ArgumentException($"Axis {axis} of input '{input}' cannot have extent {extent}, as {given} says; an extent is 1 or more, -1 leaves the axis as it is.", nameof(extents));
            if (dims[axis].IsKnown && dims[axis].Value != extent)
                throw new ArgumentException($"Axis {axis} of input '{input}' is fixed to {dims[axis]} by the model, {value.Shape}; given is {given}.", nameof(extents));
            if (dims[axis].Symbol is { } symbol && !symbols.TryAdd(symbol, extent) && symbols[symbol] != extent)
                throw new ArgumentException($"Axis {axis} of input '{input}' is '{symbol}', as another axis is, which {given} gives {symbols[symbol]}, not {extent}.", nameof(extents));
            dims[axis] = extent;
        }
        // An axis that was left open by -1 may bear a symbol that another axis of the input was given.
        return graph with
        {
            Inputs = [.. graph.Inputs.Select(i => Fixed(i.Name == input ? i with { Shape = new(dims) } : i, symbols))],
            Outputs = [.. graph.Outputs.Select(o => Fixed(o, symbols))],
            ValueInfos = [],
        };
    }

    private static ValueInfo Fixed(ValueInfo value, Dictionary<string, long> symbols) =>
        value.Shape is not { } shape ? value : value with { Shape = new([.. shape.Select(d => d.Symbol is { } s && symbols.TryGetValue(s, out long extent) ? extent : d)]) };
}
