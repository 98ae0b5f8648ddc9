using System.Numerics;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>One or more tensors of one type combined element by element, broadcast as NumPy does; NaN where one is NaN.</summary>
internal abstract class Extremum : Operator
{
    public override ValueFact[] Infer(OpContext context)
    {
        var first = context.Input(0, ElementType.Float, ElementType.Int32, ElementType.Int64, ElementType.Int8, ElementType.UInt8, ElementType.Int16, ElementType.UInt16, ElementType.UInt32, ElementType.UInt64);
        var shape = first.Shape;
        for (int i = 1; i < context.Inputs.Length; i++)
        {
            var next = context.Input(i);
            if (next.Type != first.Type) throw context.Malformed($"its inputs are {first.Type} and {next.Type}, expected one type");
            shape = ShapeRules.Broadcast(context, shape, next.Shape);
        }
        return [new(first.Type, shape)];
    }

    public override Step Prepare(PrepareContext context) => new ExtremumStep(this);

    protected abstract T Better<T>(T x, T y) where T : INumber<T>;

    private sealed class ExtremumStep(Extremum op) : Step
    {
        /// <summary>How each input goes with the output.</summary>
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var plans = new BroadcastPlan[inputs.Length];
            for (int i = 0; i < plans.Length; i++) plans[i] = new(outputs[0]!.Dims, inputs[i]!.Dims, outputs[0]!.Dims);
            return new(0, plans);
        }

        public override void Run(in StepContext context)
        {
            switch (context.Outputs[0].Type)
            {
                case ElementType.Float: Combine<float>(context); break;
                case ElementType.Int32: Combine<int>(context); break;
                case ElementType.Int64: Combine<long>(context); break;
                case ElementType.Int8: Combine<sbyte>(context); break;
                case ElementType.UInt8: Combine<byte>(context); break;
                case ElementType.Int16: Combine<short>(context); break;
                case ElementType.UInt16: Combine<ushort>(context); break;
                case ElementType.UInt32: Combine<uint>(context); break;
                default: Combine<ulong>(context); break;
            }
        }

        private void Combine<T>(in StepContext context) where T : unmanaged, INumber<T>
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
