using System.Globalization;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>x under another shape of as many elements: 0 keeps an extent (unless <c>allowzero</c>), one -1 takes what is left.</summary>
internal sealed partial class Reshape : Operator
{
    public override string OpType => "Reshape";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        var target = context.Input(1);
        if (target.Type != ElementType.Int64) throw context.Malformed($"input 1 ('{context.Node.Inputs[1]}') is {target.Type}, expected Int64");
        if (target.Shape is { Rank: not 1 }) throw context.Malformed($"input 1 ('{context.Node.Inputs[1]}') has shape {target.Shape}, expected a vector");
        var wanted = target.Value is { } value ? Array.ConvertAll(value.ToInt64s(), ShapeEntry.Of) : ShapeEntry.AllOf(target);
        return [wanted is null ? new(x.Type, null) : ShapeEntry.Carry(x, new(x.Type, ShapeOf(context, x.Shape, wanted)))];
    }

    private static TensorShape ShapeOf(OpContext context, TensorShape? x, ShapeEntry[] wanted)
    {
        bool zeroKeeps = context.Attribute("allowzero", 0L) == 0;
        ModelFormatException Misfit() => context.Malformed($"shape [{string.Join(',', wanted.Select(w => w.Number?.ToString(CultureInfo.InvariantCulture) ?? w.Extent.ToString()))}] does not fit the input's {x}");
        var dims = new Dimension[wanted.Length];
        var kept = new HashSet<int>();
        int rest = -1;
        for (int i = 0; i < dims.Length; i++)
        {
            if (wanted[i].Number is not { } number) dims[i] = wanted[i].Extent;
            else if (number < -1 || number == -1 && rest >= 0) throw Misfit();
            else if (number == -1) rest = i;
            else if (number > 0 || !zeroKeeps) dims[i] = number;
            else if (x is null || i < x.Rank && kept.Add(i)) dims[i] = x is null ? Dimension.Unknown : x[i];
            else throw Misfit();
        }
        if (!zeroKeeps && rest >= 0 && wanted.Any(w => w.Number == 0)) throw Misfit();
        if (x is null) return new(dims);
        // A single entry of which nothing is known has to be what is left, too.
        if (rest < 0 && wanted.Count(w => w == default) == 1) rest = Array.IndexOf(wanted, default);
        if (rest >= 0)
        {
            // Kept extents stand on both sides, so that they say nothing about what is left, even where one is 0.
            dims[rest] = Quotient([.. x.Where((_, i) => !kept.Contains(i))], [.. dims.Where((_, i) => i != rest && !kept.Contains(i))], Misfit);
        }
        var shape = new TensorShape(dims);
        if (shape.IsKnown && x.IsKnown && shape.ElementCount != x.ElementCount) throw Misfit();
        return shape;
    }

    /// <summary>The product of one list of extents by that of another: after what surely stands in both is taken out, a number or a single symbol.</summary>
    private static Dimension Quotient(List<Dimension> above, List<Dimension> below, Func<ModelFormatException> misfit)
    {
        foreach (var d in below.Where(d => !d.IsKnown).ToArray())
            if (d.Symbol is not null && above.Remove(d)) below.Remove(d);
        if (below.Any(d => !d.IsKnown)) return Dimension.Unknown;
        long divisor = ShapeRules.Product(below.ToArray()).Value;
        var open = above.Where(d => !d.IsKnown).ToArray();
        long known = ShapeRules.Product(above.Where(d => d.IsKnown).ToArray()).Value;
        if (open.Length == 0)
        {
            if (divisor == 0) return known == 0 ? 0 : throw misfit();
            return known % divisor == 0 ? known / divisor : throw misfit();
        }
        return open.Length == 1 && known == divisor && divisor != 0 ? open[0] : Dimension.Unknown;
    }

    public override Step Prepare(PrepareContext context) => new AliasStep();
}
