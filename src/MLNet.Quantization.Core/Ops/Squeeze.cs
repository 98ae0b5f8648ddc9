namespace MLNet.Quantization.Ops;

/// <summary>Drops axes of extent 1: those named, or all.</summary>
internal sealed partial class Squeeze : Operator
{
    public override string OpType => "Squeeze";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        if (x.Shape is not { } shape || context.Opset >= 13 && ShapeRules.IsOpen(context, 1)) return [new(x.Type, null)];
        var axes = ShapeRules.Axes(context, "axes", 1, firstOpsetOfInput: 13);
        if (axes is null)
        {
            // An open extent may turn out to be 1.
            if (shape.Any(d => !d.IsKnown)) return [new(x.Type, null)];
            return [ShapeEntry.Carry(x, new(x.Type, new(shape.Where(d => d.Value != 1).ToArray())))];
        }
        var dropped = axes.Select(a => context.Axis(a, shape.Rank)).ToHashSet();
        foreach (int axis in dropped)
            if (shape[axis].IsKnown && shape[axis].Value != 1) throw context.Malformed($"axis {axis} of {shape} is not 1 and cannot be dropped");
        return [ShapeEntry.Carry(x, new(x.Type, new(shape.Where((_, i) => !dropped.Contains(i)).ToArray())))];
    }

    public override Step Prepare(PrepareContext context) => new AliasStep();
}
