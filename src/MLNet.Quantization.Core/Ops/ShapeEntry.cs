using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// One integer of a shape that the graph computes, before the batch is known: a number (which may be Reshape's -1 or 0), or an extent
/// that is a symbol or not known at all.
/// </summary>
internal readonly record struct ShapeEntry(long? Number, Dimension Extent)
{
    /// <summary>Longer vectors are data, not shapes.</summary>
    public const int MaxCount = 64;

    public static ShapeEntry Of(long number) => new(number, Dimension.Unknown);

    /// <summary>1 or 0.</summary>
    public static ShapeEntry Of(bool flag) => Of(flag ? 1L : 0L);

    public static ShapeEntry Of(Dimension extent) => extent.IsKnown ? Of(extent.Value) : new(null, extent);

    /// <summary>
    /// The entries of a scalar or vector of integers (or of bool, as 1 and 0), where all that is missing is extents: from its value, from what an operator
    /// worked out, or unknown ones. Null where it is not such a value.
    /// </summary>
    public static ShapeEntry[]? AllOf(ValueFact fact)
    {
        if (fact.Type is not (ElementType.Int64 or ElementType.Int32 or ElementType.Bool) || fact.Shape is not { IsKnown: true, Rank: <= 1 } shape || shape.ElementCount > MaxCount) return null;
        if (fact.Value is { } value) return Array.ConvertAll(value.ToInt64s(), Of);
        return fact.Entries ?? new ShapeEntry[shape.ElementCount];
    }

    /// <summary>The fact with the entries of <paramref name="source"/>, which holds the same integers in the same order.</summary>
    public static ValueFact Carry(ValueFact source, ValueFact fact) => With(fact, source.Value is null ? source.Entries : null);

    /// <summary>The fact with these entries, where it is a scalar or vector of as many integers and anything is known of them; with its value, where they all are numbers.</summary>
    public static ValueFact With(ValueFact fact, ShapeEntry[]? entries)
    {
        if (entries is null || !entries.Any(e => e != default) || AllOf(fact)?.Length != entries.Length) return fact;
        return entries.All(e => e.Number is not null) ? fact with { Value = Numbers(fact, entries) } : fact with { Entries = entries };
    }

    /// <summary>The fact with the entries that <paramref name="combine"/> makes of those of a and b, broadcast.</summary>
    public static ValueFact Combine(ValueFact a, ValueFact b, ValueFact fact, Func<ShapeEntry, ShapeEntry, ShapeEntry> combine)
    {
        if (AllOf(a) is not { } x || AllOf(b) is not { } y || AllOf(fact) is not { } result) return fact;
        for (int i = 0; i < result.Length; i++) result[i] = combine(x[x.Length == 1 ? 0 : i], y[y.Length == 1 ? 0 : i]);
        return With(fact, result);
    }

    private static Tensor Numbers(ValueFact fact, ShapeEntry[] entries)
    {
        int[] dims = fact.Shape!.ToInts();
        return fact.Type switch
        {
            ElementType.Int64 => Tensor.Create(Array.ConvertAll(entries, e => e.Number!.Value), dims),
            ElementType.Int32 => Tensor.Create(Array.ConvertAll(entries, e => unchecked((int)e.Number!.Value)), dims),
            _ => Tensor.Create(Array.ConvertAll(entries, e => e.Number != 0), dims),
        };
    }
}
