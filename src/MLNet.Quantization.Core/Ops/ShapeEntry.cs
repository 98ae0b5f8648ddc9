using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// One integer of a shape that the graph computes, before the batch is known: a number (which may be Reshape's -1 or 0), or an extent
/// that is a symbol or not known at all.
/// </summary>
internal readonly record struct ShapeEntry(long? Number, Dimension Extent)
{
    /// <summary>Longer vectors are data, not shapes.</summary>
    private const int MaxCount = 64;

    public static ShapeEntry Of(long number) => new(number, Dimension.Unknown);

    public static ShapeEntry Of(Dimension extent) => extent.IsKnown ? Of(extent.Value) : new(null, extent);

    /// <summary>
    /// The entries of a scalar or vector of integers, where all that is missing is extents: from its value, from what an operator
    /// worked out, or unknown ones. Null where it is not such a value.
    /// </summary>
    public static ShapeEntry[]? AllOf(ValueFact fact)
    {
        if (fact.Type is not (ElementType.Int64 or ElementType.Int32) || fact.Shape is not { IsKnown: true, Rank: <= 1 } shape || shape.ElementCount > MaxCount) return null;
        if (fact.Value is { } value) return Array.ConvertAll(value.ToInt64s(), Of);
        return fact.Entries ?? new ShapeEntry[shape.ElementCount];
    }

    /// <summary>The fact with the entries of <paramref name="source"/>, which holds the same integers in the same order.</summary>
    public static ValueFact Carry(ValueFact source, ValueFact fact) => With(fact, source.Value is null ? source.Entries : null);

    /// <summary>The fact with these entries, where it is a scalar or vector of as many integers and anything is known of them.</summary>
    public static ValueFact With(ValueFact fact, ShapeEntry[]? entries) =>
        entries is not null && entries.Any(e => e != default) && AllOf(fact)?.Length == entries.Length ? fact with { Entries = entries } : fact;
}
