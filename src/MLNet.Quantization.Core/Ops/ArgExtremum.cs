using System.Numerics;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Where along <c>axis</c> (default 0) the best element lies, int64: the first of equal ones, the last with <c>select_last_index</c>.
/// NaN is better than any number, as in NumPy. <c>keepdims</c> (by default) keeps the axis with extent 1.
/// </summary>
internal abstract class ArgExtremum : Operator
{
    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, NumberTypes.All);
        if (x.Shape is not { } shape) return [new(ElementType.Int64, null)];
        // A scalar is its own best element.
        if (shape.Rank == 0) return [new(ElementType.Int64, shape)];
        int axis = context.Axis(context.Attribute("axis", 0L), shape.Rank);
        if (shape[axis].IsKnown && shape[axis].Value == 0) throw context.Malformed($"axis {axis} of {shape} has no element");
        return [new(ElementType.Int64, new([.. shape.Dims[..axis], .. context.Attribute("keepdims", 1L) != 0 ? (Dimension[])[1] : [], .. shape.Dims[(axis + 1)..]]))];
    }

    public override Step Prepare(PrepareContext context) => new ArgStep(this, context);

    protected abstract bool IsBetter<T>(T x, T than) where T : INumber<T>;

    private sealed class ArgStep(ArgExtremum op, PrepareContext node) : Step, INumberStep
    {
        private readonly bool _last = node.Attribute("select_last_index", 0L) != 0;

        public override void Run(in StepContext context) => NumberTypes.Run(context.Inputs[0].Type, this, context);

        public void Numbers<T>(in StepContext context) where T : unmanaged, INumber<T>, IMinMaxValue<T>
        {
            var layout = context.Inputs[0].Layout!;
            int axis = layout.Rank == 0 ? 0 : node.Axis(node.Attribute("axis", 0L), layout.Rank);
            int extent = layout.Rank == 0 ? 1 : layout.Dims[axis], inner = layout.Rank == 0 ? 1 : layout.CountOf(axis + 1, layout.Rank);
            var x = context.Input<T>(0);
            var y = context.Output<long>(0);
            for (int i = 0; i < y.Length; i++)
            {
                int first = (i / inner * inner * extent) + (i % inner), best = 0;
                T value = x[first];
                for (int k = 1; k < extent; k++)
                {
                    T next = x[first + (k * inner)];
                    bool isTie = next == value || T.IsNaN(next) && T.IsNaN(value);
                    if (isTie ? !_last : T.IsNaN(value) || !T.IsNaN(next) && !op.IsBetter(next, value)) continue;
                    (best, value) = (k, next);
                }
                y[i] = best;
            }
        }
    }
}

/// <summary>Of the greatest element.</summary>
internal sealed class ArgMax : ArgExtremum
{
    public override string OpType => "ArgMax";

    protected override bool IsBetter<T>(T x, T than) => x > than;
}

/// <summary>Of the least element.</summary>
internal sealed class ArgMin : ArgExtremum
{
    public override string OpType => "ArgMin";

    protected override bool IsBetter<T>(T x, T than) => x < than;
}
