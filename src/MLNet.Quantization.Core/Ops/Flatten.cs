using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>x as a matrix: the axes before <c>axis</c> (default 1) are the rows, those from it on the columns.</summary>
internal sealed partial class Flatten : Operator
{
    public override string OpType => "Flatten";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        if (x.Shape is not { } shape) return [new(x.Type, new(Dimension.Unknown, Dimension.Unknown))];
        long axis = context.Attribute("axis", 1L);
        if (axis < -shape.Rank || axis > shape.Rank) throw context.Malformed($"axis {axis} lies outside a tensor of rank {shape.Rank}");
        int split = (int)(axis < 0 ? axis + shape.Rank : axis);
        return [new(x.Type, new(ShapeRules.Product(shape.Dims[..split]), ShapeRules.Product(shape.Dims[split..])))];
    }

    public override Step Prepare(PrepareContext context) => new AliasStep();
}
