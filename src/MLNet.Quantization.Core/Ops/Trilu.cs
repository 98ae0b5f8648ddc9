using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>The upper (by default) or lower triangle of matrices [..., rows, columns], from the diagonal that lies <c>k</c> to the right of the main one; 0 elsewhere. Any type.</summary>
internal sealed class Trilu : Operator
{
    public override string OpType => "Trilu";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        if (x.Shape is { Rank: < 2 } shape) throw context.Malformed($"x has shape {shape}, expected matrices");
        if (context.Optional(1) is not null) context.Input(1, ElementType.Int64);
        return [new(x.Type, x.Shape)];
    }

    public override Step Prepare(PrepareContext context) => new TriluStep(context.Attribute("upper", 1L) != 0);

    private sealed class TriluStep(bool upper) : Step
    {
        public override bool CanOverwrite(int input) => input == 0;

        public override void Run(in StepContext context)
        {
            var layout = context.Inputs[0].Layout!;
            int rows = layout.Dims[^2], columns = layout.Dims[^1], size = layout.Type.SizeOf(), stacked = layout.CountOf(0, layout.Rank - 1);
            long k = context.Inputs.Length > 1 && context.Inputs[1].IsPresent ? context.Input<long>(1)[0] : 0;
            var x = context.Input<byte>(0);
            var y = context.Output<byte>(0);
            x.CopyTo(y);
            for (int r = 0; r < stacked; r++)
            {
                // The first column of the upper triangle; the lower one ends behind it.
                int diagonal = (int)Math.Clamp((r % rows) + k + (upper ? 0 : 1), 0, columns);
                var row = y.Slice(r * columns * size, columns * size);
                if (upper) row[..(diagonal * size)].Clear();
                else row[(diagonal * size)..].Clear();
            }
        }
    }
}
