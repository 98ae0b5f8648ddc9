using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>x repeated along each axis. Any type.</summary>
internal sealed partial class Tile : Operator
{
    public override string OpType => "Tile";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        var repeats = context.Input(1, ElementType.Int64);
        if (x.Shape is not { } shape) return [new(x.Type, null)];
        if (repeats.Shape is { IsKnown: true } r && (r.Rank != 1 || r.ElementCount != shape.Rank)) throw context.Malformed($"repeats {r} do not fit an x of {shape.Rank} axes");
        if (ShapeEntry.AllOf(repeats) is not { } counts) return [new(x.Type, new(Enumerable.Repeat(Dimension.Unknown, shape.Rank).ToArray()))];
        if (counts.Any(c => c.Number < 0)) throw context.Malformed($"repeats [{string.Join(',', counts.Select(c => c.Number))}] hold a number below 0");
        return [new(x.Type, new([.. shape.Dims.ToArray().Zip(counts, (d, c) => ShapeRules.Product([d, c.Number is { } n ? n : c.Extent]))]))];
    }

    public override Step Prepare(PrepareContext context) => new TileStep();

    private sealed class TileStep : Step
    {
        public override bool ReadsAtRun(int input) => input == 0;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            TensorLayout x = inputs[0]!, y = outputs[0]!;
            long[] own = StridedCopy.RowMajor(x.Dims), strides = new long[2 * x.Rank];
            var dims = new int[2 * x.Rank];
            for (int i = 0; i < x.Rank; i++)
            {
                dims[2 * i] = x.Dims[i] == 0 ? 0 : y.Dims[i] / x.Dims[i];
                (dims[(2 * i) + 1], strides[(2 * i) + 1]) = (x.Dims[i], own[i]);
            }
            return new(0, new StridedCopy(dims, strides, 0, x.Type.SizeOf()));
        }

        public override void Run(in StepContext context) => ((StridedCopy)context.State!).Run(context.Input<byte>(0), context.Output<byte>(0), context.MaxThreads);
    }
}
