using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>Adds axes of extent 1, counted in the result.</summary>
internal sealed partial class Unsqueeze : Operator
{
    public override string OpType => "Unsqueeze";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        if (x.Shape is not { } shape || context.Opset >= 13 && ShapeRules.IsOpen(context, 1)) return [new(x.Type, null)];
        var axes = ShapeRules.Axes(context, "axes", 1, firstOpsetOfInput: 13) ?? throw context.Malformed("it names no axes");
        int rank = shape.Rank + axes.Length;
        var added = axes.Select(a => context.Axis(a, rank)).ToHashSet();
        if (added.Count != axes.Length) throw context.Malformed($"axes [{string.Join(',', axes)}] name one twice");
        var kept = new Queue<Dimension>(shape);
        return [ShapeEntry.Carry(x, new(x.Type, new(Enumerable.Range(0, rank).Select(i => added.Contains(i) ? 1 : kept.Dequeue()).ToArray())))];
    }

    public override Step Prepare(PrepareContext context) => new AliasStep();
}
