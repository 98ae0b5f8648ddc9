using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>The extents of x from axis <c>start</c> to <c>end</c>, as int64.</summary>
internal sealed class Shape : Operator
{
    public override string OpType => "Shape";

    public override ValueFact[] Infer(OpContext context)
    {
        if (context.Input(0).Shape is not { } shape) return [new(ElementType.Int64, new(Dimension.Unknown))];
        var (start, end) = RangeOf(context, shape.Rank);
        var dims = shape.Dims[start..end];
        if (new TensorShape(dims) is { IsKnown: true } known) return [ValueFact.Of(Tensor.Create(Array.ConvertAll(known.ToInts(), d => (long)d), known.Rank))];
        return [ShapeEntry.With(new(ElementType.Int64, new(dims.Length)), Array.ConvertAll(dims.ToArray(), ShapeEntry.Of))];
    }

    private static (int Start, int End) RangeOf(OpContext context, int rank)
    {
        int start = Clamped(context.Attribute("start", 0L), rank), end = Clamped(context.Attribute("end", (long)rank), rank);
        return (start, Math.Max(start, end));
    }

    private static int Clamped(long axis, int rank) => (int)Math.Clamp(axis < 0 ? axis + rank : axis, 0, rank);

    public override Step Prepare(PrepareContext context) => new ShapeStep(RangeOf(context, context.Input(0).Shape?.Rank ?? 0).Start);

    private sealed class ShapeStep(int start) : Step
    {
        public override void Run(in StepContext context)
        {
            var y = context.Output<long>(0);
            for (int i = 0; i < y.Length; i++) y[i] = context.Inputs[0].Dims[start + i];
        }
    }
}
