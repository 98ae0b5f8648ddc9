using System.Numerics;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Sums along an axis (input 1) of all elements up to each, that one left out where <c>exclusive</c> is 1; from the end where
/// <c>reverse</c> is 1. float32 and double, one after the other, and integers, which wrap.
/// </summary>
internal sealed class CumSum : Operator
{
    public override string OpType => "CumSum";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, [.. NumberTypes.All, ElementType.Double]);
        var axis = context.Input(1, ElementType.Int32, ElementType.Int64);
        if (axis.Shape is { IsKnown: true, ElementCount: not 1 }) throw context.Malformed($"its axis is {axis}, expected one number");
        if (x.Shape is { } shape && axis.Value is { } constant) context.Axis(constant.ToInt64s()[0], shape.Rank);
        return [new(x.Type, x.Shape)];
    }

    public override Step Prepare(PrepareContext context) => new CumSumStep(context);

    private sealed class CumSumStep(PrepareContext node) : Step, INumberStep
    {
        private readonly bool _exclusive = node.Attribute("exclusive", 0L) != 0;
        private readonly bool _reverse = node.Attribute("reverse", 0L) != 0;

        public override bool CanOverwrite(int input) => input == 0;

        public override void Run(in StepContext context)
        {
            if (context.Inputs[0].Type == ElementType.Double) Numbers<double>(context);
            else NumberTypes.Run(context.Inputs[0].Type, this, context);
        }

        public void Numbers<T>(in StepContext context) where T : unmanaged, INumber<T>, IMinMaxValue<T>
        {
            var layout = context.Inputs[0].Layout!;
            int axis = node.Axis(context.Inputs[1].Type == ElementType.Int64 ? context.Input<long>(1)[0] : context.Input<int>(1)[0], layout.Rank);
            int extent = layout.Rank == 0 ? 1 : layout.Dims[axis], inner = layout.Rank == 0 ? 1 : layout.CountOf(axis + 1, layout.Rank);
            var x = context.Input<T>(0);
            var y = context.Output<T>(0);
            int row = extent * inner, step = _reverse ? -inner : inner;
            for (int start = 0; start < y.Length; start += row)
                for (int i = 0; i < inner; i++)
                {
                    T sum = T.Zero;
                    for (int k = 0, at = start + i + (_reverse ? row - inner : 0); k < extent; k++, at += step)
                    {
                        T next = unchecked(sum + x[at]);
                        y[at] = _exclusive ? sum : next;
                        sum = next;
                    }
                }
        }
    }
}
