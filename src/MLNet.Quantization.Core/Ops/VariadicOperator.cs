using System.Numerics;
using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>One or more tensors of one type combined element by element, one after the other, broadcast as NumPy does.</summary>
internal abstract class VariadicOperator : Operator
{
    /// <summary>The types that its inputs may have.</summary>
    protected virtual ElementType[] Types => NumberTypes.All;

    public override ValueFact[] Infer(OpContext context)
    {
        var first = context.Input(0, Types);
        var result = first;
        for (int i = 1; i < context.Inputs.Length; i++)
        {
            var next = context.Input(i);
            if (next.Type != first.Type) throw context.Malformed($"its inputs are {first.Type} and {next.Type}, expected one type");
            result = ShapeEntry.Combine(result, next, new(first.Type, ShapeRules.Broadcast(context, result.Shape, next.Shape)), Join);
        }
        return [result];
    }

    public override Step Prepare(PrepareContext context) => new VariadicStep(this);

    protected abstract T Join<T>(T x, T y) where T : INumber<T>;

    /// <summary>The form of float32 for many elements: y joined with x, which is as many elements or one for all.</summary>
    protected virtual void Join(ReadOnlySpan<float> x, Span<float> y)
    {
        for (int i = 0; i < y.Length; i++) y[i] = Join(y[i], x[x.Length == 1 ? 0 : i]);
    }

    /// <summary>What is left to do with the joined elements.</summary>
    protected virtual void Finish(Span<float> y, int inputs)
    {
    }

    private ShapeEntry Join(ShapeEntry x, ShapeEntry y) => x == y ? x : x.Number is { } a && y.Number is { } b ? ShapeEntry.Of(Join(a, b)) : default;

    private sealed class VariadicStep(VariadicOperator op) : Step, INumberStep
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
                for (int run = 0; run < plan.Runs; run++)
                {
                    var (to, from) = plan.StartOf(run);
                    ReadOnlySpan<T> x = context.Input<T>(input).Slice(from, plan.BMoves ? plan.RunLength : 1);
                    var part = y.Slice(to, plan.RunLength);
                    if (input > 0) Join(x, part);
                    else if (plan.BMoves) x.CopyTo(part);
                    else part.Fill(x[0]);
                }
            }
            if (typeof(T) == typeof(float)) op.Finish(MemoryMarshal.Cast<T, float>(y), plans.Length);
        }

        private void Join<T>(ReadOnlySpan<T> x, Span<T> y) where T : unmanaged, INumber<T>
        {
            if (typeof(T) == typeof(float)) op.Join(MemoryMarshal.Cast<T, float>(x), MemoryMarshal.Cast<T, float>(y));
            else
                for (int i = 0; i < y.Length; i++) y[i] = op.Join(y[i], x[x.Length == 1 ? 0 : i]);
        }
    }
}
