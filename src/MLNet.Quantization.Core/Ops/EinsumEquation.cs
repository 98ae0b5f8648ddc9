namespace MLNet.Quantization.Ops;

/// <summary>
/// Einstein's summation, parsed: a letter an axis; letters of the result, and those that are summed over. Axes that "..." stands for get
/// letters of their own. Immutable.
/// </summary>
internal sealed class EinsumEquation
{
    /// <summary>Letters of the axes of "...", aligned at the end, are below any letter that can be written.</summary>
    private const char FirstOfEllipsis = '\u0001';

    private EinsumEquation(string[] inputs, string output, string summed)
    {
        Inputs = inputs;
        Output = output;
        Summed = summed;
    }

    /// <summary>A letter for each axis of each input.</summary>
    public string[] Inputs { get; }

    public string Output { get; }

    /// <summary>The other letters, in the order in which they appear.</summary>
    public string Summed { get; }

    /// <param name="node">For errors.</param>
    /// <param name="equation">As NumPy's einsum takes it.</param>
    /// <param name="ranks">Of the inputs.</param>
    public static EinsumEquation Parse(OpContext node, string equation, int[] ranks)
    {
        string[] sides = equation.Replace(" ", "", StringComparison.Ordinal).Split("->");
        string[] terms = sides[0].Split(',');
        if (sides.Length > 2 || terms.Length != ranks.Length) throw node.Malformed($"equation '{equation}' has {terms.Length} terms, the node {ranks.Length} inputs");
        var inputs = new string[terms.Length];
        int longest = 0;
        for (int i = 0; i < terms.Length; i++) inputs[i] = Expand(node, equation, terms[i], ranks[i], ref longest);
        string ellipsis = Ellipsis(longest), output;
        if (sides.Length == 2) output = Letters(node, equation, sides[1], ellipsis);
        else output = ellipsis + string.Concat(inputs.SelectMany(i => i).Where(c => c >= 'A').GroupBy(c => c).Where(g => g.Count() == 1).Select(g => g.Key).Order());
        string all = string.Concat(inputs.SelectMany(i => i).Distinct());
        if (output.Distinct().Count() != output.Length || output.Any(c => !all.Contains(c) && c >= 'A')) throw node.Malformed($"the result of equation '{equation}' repeats a letter, or has one that no input has");
        return new(inputs, output, string.Concat(all.Except(output)));
    }

    private static string Ellipsis(int count) => string.Concat(Enumerable.Range(0, count).Select(i => (char)(FirstOfEllipsis + count - 1 - i)));

    private static string Expand(OpContext node, string equation, string term, int rank, ref int longest)
    {
        int own = term.Contains("...", StringComparison.Ordinal) ? rank - (term.Length - 3) : 0;
        if (own < 0) throw node.Malformed($"term '{term}' of equation '{equation}' does not fit an input of {rank} axes");
        longest = Math.Max(longest, own);
        string letters = Letters(node, equation, term, Ellipsis(own));
        return letters.Length == rank ? letters : throw node.Malformed($"term '{term}' of equation '{equation}' does not fit an input of {rank} axes");
    }

    private static string Letters(OpContext node, string equation, string term, string ellipsis)
    {
        string letters = term.Replace("...", "", StringComparison.Ordinal);
        if (letters.Any(c => !char.IsAsciiLetter(c))) throw node.Malformed($"equation '{equation}' holds other than letters, commas and '...'");
        return term.Replace("...", ellipsis, StringComparison.Ordinal);
    }
}
