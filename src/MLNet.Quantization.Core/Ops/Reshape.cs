using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>x under another shape of as many elements: 0 keeps an extent (unless <c>allowzero</c>), one -1 takes what is left.</summary>
internal sealed class Reshape : Operator
{
    public override string OpType => "Reshape";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        var wanted = context.Input(1);
        if (wanted.Value is null)
        {
            int? rank = wanted.Shape is { Rank: 1, IsKnown: true } s ? (int)s[0].Value : null;
            return [new(x.Type, rank is { } r ? new(Enumerable.Repeat(Dimension.Unknown, r).ToArray()) : null)];
        }
        return [new(x.Type, ShapeOf(context, x.Shape, ShapeRules.Integers(context, 1, wanted)))];
    }

    private static TensorShape ShapeOf(OpContext context, TensorShape? x, long[] wanted)
    {
        bool zeroIsZero = context.Attribute("allowzero", 0L) != 0;
        string Asked() => $"shape [{string.Join(',', wanted)}] does not fit the input's {x}";
        var dims = new Dimension[wanted.Length];
        int rest = -1;
        for (int i = 0; i < dims.Length; i++)
        {
            if (wanted[i] < -1 || wanted[i] == -1 && rest >= 0) throw context.Malformed(Asked());
            if (wanted[i] == -1) rest = i;
            else if (wanted[i] > 0 || zeroIsZero) dims[i] = wanted[i];
            else if (x is not null) dims[i] = i < x.Rank ? x[i] : throw context.Malformed(Asked());
        }
        if (x is null) return new(dims);
        if (rest >= 0) dims[rest] = Rest(context, x, dims, rest, Asked);
        var shape = new TensorShape(dims);
        if (shape.IsKnown && x.IsKnown && shape.ElementCount != x.ElementCount) throw context.Malformed(Asked());
        return shape;
    }

    /// <summary>The extent that is left: after all that surely stands on both sides is taken out, a quotient or a single symbol.</summary>
    private static Dimension Rest(OpContext context, TensorShape x, Dimension[] dims, int rest, Func<string> asked)
    {
        var above = x.Dims.ToArray().ToList();
        var below = dims.Where((_, i) => i != rest).ToList();
        foreach (var d in below.Where(d => !d.IsKnown).ToArray())
            if (d.Symbol is not null && above.Remove(d)) below.Remove(d);
        if (below.Any(d => !d.IsKnown)) return Dimension.Unknown;
        long divisor = ShapeRules.Product(below.ToArray()).Value;
        var open = above.Where(d => !d.IsKnown).ToArray();
        long known = ShapeRules.Product(above.Where(d => d.IsKnown).ToArray()).Value;
        if (open.Length == 0)
        {
            if (divisor == 0) return known == 0 ? 0 : throw context.Malformed(asked());
            return known % divisor == 0 ? known / divisor : throw context.Malformed(asked());
        }
        return open.Length == 1 && known == divisor ? open[0] : Dimension.Unknown;
    }

    public override Step Prepare(PrepareContext context) => new AliasStep();
}
