using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>Rules about extents that several operators share.</summary>
internal static class ShapeRules
{
    /// <summary>The product of extents; a symbol survives where all others are 1.</summary>
    public static Dimension Product(ReadOnlySpan<Dimension> dims)
    {
        long known = 1;
        Dimension? open = null;
        foreach (var d in dims)
        {
            if (d.IsKnown) known = checked(known * d.Value);
            else if (open is null) open = d;
            else return Dimension.Unknown;
        }
        return open is not { } symbol ? known : known == 1 ? symbol : Dimension.Unknown;
    }

    /// <summary>The shape that both broadcast to, by the rules of NumPy; null where one has no known rank.</summary>
    /// <exception cref="ModelFormatException">They do not fit.</exception>
    public static TensorShape? Broadcast(OpContext context, TensorShape? a, TensorShape? b)
    {
        if (a is null || b is null) return null;
        var dims = new Dimension[Math.Max(a.Rank, b.Rank)];
        for (int i = 1; i <= dims.Length; i++)
        {
            Dimension x = i <= a.Rank ? a[a.Rank - i] : 1, y = i <= b.Rank ? b[b.Rank - i] : 1;
            dims[^i] = Broadcast(x, y) ?? throw context.Malformed($"shapes {a} and {b} do not broadcast");
        }
        return new(dims);
    }

    private static Dimension? Broadcast(Dimension x, Dimension y)
    {
        if (x.SurelyEquals(y)) return x;
        if (x.IsKnown && y.IsKnown) return x.Value == 1 ? y : y.Value == 1 ? x : null;
        if (x.IsKnown && x.Value != 1) return x;
        if (y.IsKnown && y.Value != 1) return y;
        // What is 1 gives way to a symbol; two open extents could be either.
        return x.IsKnown ? y : y.IsKnown ? x : Dimension.Unknown;
    }

    /// <summary>The shape that both have: extents that differ are unknown, and null stands for ranks that do.</summary>
    public static TensorShape? Common(TensorShape? a, TensorShape? b)
    {
        if (a is null || b is null || a.Rank != b.Rank) return null;
        return new(Enumerable.Range(0, a.Rank).Select(i => a[i].SurelyEquals(b[i]) ? a[i] : Dimension.Unknown).ToArray());
    }

    /// <summary>The axes that a node names: an attribute before opset 13, input <paramref name="input"/> after; null where it names none.</summary>
    public static long[]? Axes(OpContext context, string attribute, int input, int firstOpsetOfInput)
    {
        if (context.Opset < firstOpsetOfInput)
            return context.Node.Attributes.Contains(attribute) ? [.. context.Attribute(attribute, ImmutableArray<long>.Empty)] : null;
        if (context.Optional(input) is not { } fact) return null;
        return Integers(context, input, fact);
    }

    /// <summary>The constant integers at an input.</summary>
    /// <exception cref="UnsupportedOperatorException">They are computed from data.</exception>
    public static long[] Integers(OpContext context, int input, ValueFact fact)
    {
        if (fact.Type is not (ElementType.Int64 or ElementType.Int32)) throw context.Malformed($"input {input} ('{context.Node.Inputs[input]}') is {fact.Type}, expected Int64");
        return fact.Value?.ToInt64s() ?? throw context.Unsupported($"input {input} ('{context.Node.Inputs[input]}') is computed from data; supported: what follows from shapes and constants");
    }

    /// <summary>True where an input's value is not known yet but may be once the input shapes are: then nothing can be said of the output.</summary>
    public static bool IsOpen(OpContext context, int input) => context.Optional(input) is { Value: null };
}
