using System.Numerics;

namespace MLNet.Quantization.Ops;

/// <summary>One or more tensors of one type combined element by element, broadcast as NumPy does; NaN where one is NaN.</summary>
internal abstract class Extremum : Operator
{
    public override ValueFact[] Infer(OpContext context)
    {
        var first = context.Input(0, NumberTypes.All);
        var result = first;
        for (int i = 1; i < context.Inputs.Length; i++)
        {
            var next = context.Input(i);
            if (next.Type != first.Type) throw context.Malformed($"its inputs are {first.Type} and {next.Type}, expected one type");
            result = ShapeEntry.Combine(result, next, new(first.Type, ShapeRules.Broadcast(context, result.Shape, next.Shape)), Better);
        }
        return [result];
    }

    public override Step Prepare(PrepareContext context) => new ExtremumStep(this);

    protected abstract T Better<T>(T x, T y) where T : INumber<T>;

    private ShapeEntry Better(ShapeEntry x, ShapeEntry y) => x == y ? x : x.Number is { } a && y.Number is { } b ? ShapeEntry.Of(Better(a, b)) : default;

    private sealed class ExtremumStep(Extremum op) : Step, INumberStep
    {
        /// <summary>How each input goes with the output.</summary>
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var plans = new BroadcastPlan[inputs.Length];
            for (int i = 0; i < plans.Length; i++) plans[i] = new(outputs[0]!.Dims, inputs[i]!.Dims, outputs[0]!.Dims);
            return new(0, plans);
        }

        public override void Run(in StepContext context) => NumberTypes.Run(context.Outputs[0].Type, this, context);

        public void Numbers<T>(in StepContext context) where T : unmanaged, INumber<T>, IMinMaxValue<T>
        {
            var plans = (BroadcastPlan[])context.State!;
            var y = context.Output<T>(0);
            for (int input = 0; input < plans.Length; input++)
            {
                var plan = plans[input];
                var x = context.Input<T>(input);
                for (int run = 0; run < plan.Runs; run++)
                {
                    var (to, from) = plan.StartOf(run);
                    for (int i = 0; i < plan.RunLength; i++)
                    {
                        T value = x[plan.BMoves ? from + i : from];
                        ref T place = ref y[plan.AMoves ? to + i : to];
                        place = input == 0 ? value : op.Better(place, value);
                    }
                }
            }
        }
    }
}

/// <summary>The greatest.</summary>
internal sealed class Max : Extremum
{
    public override string OpType => "Max";

    protected override T Better<T>(T x, T y) => T.Max(x, y);
}

/// <summary>The least.</summary>
internal sealed class Min : Extremum
{
    public override string OpType => "Min";

    protected override T Better<T>(T x, T y) => T.Min(x, y);
}
