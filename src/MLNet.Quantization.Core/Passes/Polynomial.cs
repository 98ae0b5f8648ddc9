using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>
/// What a chain of Add, Sub, Mul, Div and Pow with scalar constants computes, as Σ cᵢ · xⁱ + t · Σ dᵢ · xⁱ of a value x and a value t, so
/// that one formula is recognised in all its spellings. Arithmetic in double.
/// </summary>
internal sealed class Polynomial
{
    /// <summary>The highest power of x.</summary>
    private const int Degree = 3;

    /// <summary>How deep a chain is followed.</summary>
    private const int Depth = 8;

    private readonly double[] _plain = new double[Degree + 1], _timesT = new double[Degree + 1];

    private Polynomial() { }

    /// <summary>The value as a polynomial, or null where it is none.</summary>
    /// <param name="index">The graph.</param>
    /// <param name="value">A value of the graph.</param>
    /// <param name="x">Not looked behind.</param>
    /// <param name="t">Not looked behind; null for a polynomial in x alone.</param>
    /// <param name="rank">Of x: a constant of a higher one would add axes.</param>
    public static Polynomial? Of(GraphIndex index, string value, string x, string? t, int rank) => Of(index, value, x, t, rank, Depth);

    /// <summary>The values that the one given is computed from by such a chain, nearest first: what x could be.</summary>
    public static IEnumerable<string> Sources(GraphIndex index, string value)
    {
        var seen = new List<string> { value };
        for (int i = 0; i < seen.Count && seen.Count < 4 * Depth; i++)
        {
            if (!IsArithmetic(index.Producers.GetValueOrDefault(seen[i]))) continue;
            foreach (string input in index.Producers[seen[i]].Inputs)
                if (index.Constant(input) is null && !seen.Contains(input)) seen.Add(input);
        }
        return seen;
    }

    /// <summary>True where all coefficients, from the constant one up, are these but for the rounding of constants in float32.</summary>
    public bool Is(ReadOnlySpan<double> plain, ReadOnlySpan<double> timesT = default) => Same(_plain, plain) && Same(_timesT, timesT);

    private static bool Same(double[] found, ReadOnlySpan<double> expected)
    {
        for (int i = 0; i < found.Length; i++)
        {
            double e = i < expected.Length ? expected[i] : 0;
            if (!(Math.Abs(found[i] - e) <= 1e-5 * Math.Abs(e))) return false;
        }
        return true;
    }

    private static bool IsArithmetic(Node? node) => node is { Domain: "", OpType: "Add" or "Sub" or "Mul" or "Div" or "Pow" };

    private static Polynomial? Of(GraphIndex index, string value, string x, string? t, int rank, int depth)
    {
        var result = new Polynomial();
        if (value == x) result._plain[1] = 1;
        else if (value == t) result._timesT[0] = 1;
        else if (index.Constant(value) is { } constant)
        {
            if (constant is not { Type: ElementType.Float, Count: 1 } || constant.Rank > rank) return null;
            result._plain[0] = constant.Span<float>()[0];
        }
        else
        {
            if (depth == 0 || index.Producers.GetValueOrDefault(value) is not { } node || !IsArithmetic(node)) return null;
            return Of(index, node.Inputs[0], x, t, rank, depth - 1) is { } a && Of(index, node.Inputs[1], x, t, rank, depth - 1) is { } b ? Combine(node.OpType, a, b) : null;
        }
        return result;
    }

    private static Polynomial? Combine(string opType, Polynomial a, Polynomial b)
    {
        switch (opType)
        {
            case "Add": return Sum(a, b, 1);
            case "Sub": return Sum(a, b, -1);
            case "Mul": return Product(a, b);
            case "Div": return b.Number is { } by && by != 0 ? Product(a, OfNumber(1 / by)) : null;
        }
        if (b.Number is not (1 or 2 or 3) || b.Number is not { } power) return null;
        Polynomial? result = a;
        for (int i = 1; i < power && result is not null; i++) result = Product(result, a);
        return result;
    }

    /// <summary>The number it is, or null where it is none.</summary>
    private double? Number => Is([_plain[0]]) ? _plain[0] : null;

    private static Polynomial OfNumber(double number)
    {
        var result = new Polynomial();
        result._plain[0] = number;
        return result;
    }

    private static Polynomial Sum(Polynomial a, Polynomial b, int sign)
    {
        var result = new Polynomial();
        for (int i = 0; i <= Degree; i++)
        {
            result._plain[i] = a._plain[i] + (sign * b._plain[i]);
            result._timesT[i] = a._timesT[i] + (sign * b._timesT[i]);
        }
        return result;
    }

    private static Polynomial? Product(Polynomial a, Polynomial b)
    {
        var result = new Polynomial();
        for (int i = 0; i <= Degree; i++)
        {
            for (int j = 0; j <= Degree; j++)
            {
                double plain = a._plain[i] * b._plain[j], timesT = (a._plain[i] * b._timesT[j]) + (a._timesT[i] * b._plain[j]), square = a._timesT[i] * b._timesT[j];
                if (square != 0 || i + j > Degree && (plain != 0 || timesT != 0)) return null;
                if (i + j > Degree) continue;
                result._plain[i + j] += plain;
                result._timesT[i + j] += timesT;
            }
        }
        return result;
    }
}
