using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// (x - mean) / (√variance + 1e-9) over <c>axes</c> (default 0, 2 and 3) together, float32. The standard's default joins the samples of a
/// batch, so a row's result then depends on its neighbours.
/// </summary>
internal sealed class MeanVarianceNormalization : Operator
{
    private const float Epsilon = 1e-9f;

    public override string OpType => "MeanVarianceNormalization";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, ElementType.Float);
        if (x.Shape is { } shape) AxesOf(context, shape.Rank);
        return [new(x.Type, x.Shape)];
    }

    private static HashSet<int> AxesOf(OpContext context, int rank) =>
        [.. context.Attribute<System.Collections.Immutable.ImmutableArray<long>>("axes", [0, 2, 3]).Select(a => context.Axis(a, rank))];

    public override Step Prepare(PrepareContext context) => new NormalizeStep(context);

    /// <param name="Gather">Brings the elements of one mean together.</param>
    /// <param name="Scatter">Takes them back.</param>
    /// <param name="Row">Elements of one mean.</param>
    private sealed record State(StridedCopy Gather, StridedCopy Scatter, int Row);

    private sealed class NormalizeStep(PrepareContext node) : Step
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var x = inputs[0]!;
            var axes = AxesOf(node, x.Rank);
            int[] order = [.. Enumerable.Range(0, x.Rank).Where(i => !axes.Contains(i)), .. axes.Order()], back = new int[x.Rank];
            for (int i = 0; i < order.Length; i++) back[order[i]] = i;
            int[] gathered = Array.ConvertAll(order, axis => x.Dims[axis]);
            int row = axes.Aggregate(1, (n, axis) => n * x.Dims[axis]);
            return new(x.ByteCount + ((long)sizeof(float) * row), new State(StridedCopy.Permute(x.Dims, order, sizeof(float)), StridedCopy.Permute(gathered, back, sizeof(float)), row));
        }

        public override void Run(in StepContext context)
        {
            var (gather, scatter, n) = (State)context.State!;
            var bytes = context.Workspace[..context.Input<byte>(0).Length];
            if (bytes.IsEmpty) return;
            gather.Run(context.Input<byte>(0), bytes, context.MaxThreads);
            var all = MemoryMarshal.Cast<byte, float>(bytes);
            var squares = MemoryMarshal.Cast<byte, float>(context.Workspace[bytes.Length..])[..n];
            for (int at = 0; at < all.Length; at += n)
            {
                var row = all.Slice(at, n);
                Elementwise.Combine<SubtractFunction>(row, [FloatReductions.Sum(row) / n], row);
                Elementwise.Combine<MultiplyFunction>(row, row, squares);
                Elementwise.Combine<DivideFunction>(row, [MathF.Sqrt(FloatReductions.Sum(squares) / n) + Epsilon], row);
            }
            scatter.Run(bytes, context.Output<byte>(0), context.MaxThreads);
        }
    }
}
