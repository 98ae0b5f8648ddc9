using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>The first sequence_lens[b] steps of each sequence b in reverse, the others as they are; <c>time_axis</c> and <c>batch_axis</c> are 0 and 1 in either order. Any type.</summary>
internal sealed class ReverseSequence : Operator
{
    public override string OpType => "ReverseSequence";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        var lengths = context.Input(1, ElementType.Int64);
        long batch = context.Attribute("batch_axis", 1L), time = context.Attribute("time_axis", 0L);
        if ((batch, time) is not ((0, 1) or (1, 0))) throw context.Malformed($"batch_axis is {batch} and time_axis {time}, expected 0 and 1 or 1 and 0");
        if (x.Shape is { } shape)
        {
            if (shape.Rank < 2) throw context.Malformed($"x has shape {shape}, expected two axes or more");
            if (lengths.Shape is { IsKnown: true } l && (l.Rank != 1 || shape[(int)batch].IsKnown && l[0] != shape[(int)batch])) throw context.Malformed($"sequence_lens has shape {l}, expected [{shape[(int)batch]}]");
        }
        return [new(x.Type, x.Shape)];
    }

    public override Step Prepare(PrepareContext context) => new ReverseStep(context, context.Attribute("batch_axis", 1L) == 0);

    private sealed class ReverseStep(PrepareContext node, bool batchFirst) : Step
    {
        public override void Run(in StepContext context)
        {
            var layout = context.Inputs[0].Layout!;
            int batch = layout.Dims[batchFirst ? 0 : 1], steps = layout.Dims[batchFirst ? 1 : 0], bytes = layout.CountOf(2, layout.Rank) * layout.Type.SizeOf();
            var x = context.Input<byte>(0);
            var y = context.Output<byte>(0);
            var lengths = context.Input<long>(1);
            for (int b = 0; b < batch; b++)
            {
                long length = lengths[b];
                if (length < 0 || length > steps) throw node.Malformed($"sequence_lens of row {b} is {length}, the data has {steps} steps");
                for (int t = 0; t < steps; t++) x.Slice(At(b, t < length ? (int)length - 1 - t : t), bytes).CopyTo(y[At(b, t)..]);
            }

            int At(int row, int step) => (batchFirst ? (row * steps) + step : (step * batch) + row) * bytes;
        }
    }
}
