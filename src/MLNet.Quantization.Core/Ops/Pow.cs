using System.Numerics;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// x to the power of y, broadcast as NumPy does, in x's type: float32, int32 or int64; y is any number. Integers wrap, and a power that
/// is no integer loses its fraction.
/// </summary>
internal sealed partial class Pow : Operator
{
    public override string OpType => "Pow";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, ElementType.Float, ElementType.Int32, ElementType.Int64);
        return [new(x.Type, ShapeRules.Broadcast(context, x.Shape, context.Input(1, NumberTypes.All).Shape))];
    }

    public override Step Prepare(PrepareContext context) => new PowStep(context);

    private sealed class PowStep(PrepareContext node) : Step, INumberStep
    {
        public override bool CanOverwrite(int input) => true;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) =>
            new(0, new BroadcastPlan(inputs[0]!.Dims, inputs[1]!.Dims, outputs[0]!.Dims));

        public override void Run(in StepContext context) => NumberTypes.Run(context.Inputs[1].Type, this, context);

        /// <typeparam name="T">Of the exponents.</typeparam>
        public void Numbers<T>(in StepContext context) where T : unmanaged, INumber<T>, IMinMaxValue<T>
        {
            switch (context.Inputs[0].Type)
            {
                case ElementType.Float: Floats<T>(context); break;
                case ElementType.Int32: Integers<int, T>(context); break;
                default: Integers<long, T>(context); break;
            }
        }

        private static void Floats<T>(in StepContext context) where T : unmanaged, INumber<T>
        {
            var plan = (BroadcastPlan)context.State!;
            var a = context.Input<float>(0);
            var b = context.Input<T>(1);
            var y = context.Output<float>(0);
            if (b.Length == 1 && a.Length == y.Length && b[0] == T.One + T.One)
            {
                // Rounded once, as the power in double would be.
                Elementwise.Combine<MultiplyFunction>(a, a, y);
                return;
            }
            for (int run = 0; run < plan.Runs; run++)
            {
                var (fromA, fromB) = plan.StartOf(run);
                double oneA = a[fromA], oneB = double.CreateTruncating(b[fromB]);
                for (int i = 0; i < plan.RunLength; i++)
                    y[(run * plan.RunLength) + i] = (float)DoublePower.Of(plan.AMoves ? a[fromA + i] : oneA, plan.BMoves ? double.CreateTruncating(b[fromB + i]) : oneB);
            }
        }

        private void Integers<TBase, T>(in StepContext context) where TBase : unmanaged, IBinaryInteger<TBase> where T : unmanaged, INumber<T>
        {
            var plan = (BroadcastPlan)context.State!;
            var a = context.Input<TBase>(0);
            var b = context.Input<T>(1);
            var y = context.Output<TBase>(0);
            for (int run = 0; run < plan.Runs; run++)
            {
                var (fromA, fromB) = plan.StartOf(run);
                TBase oneA = a[fromA];
                T oneB = b[fromB];
                for (int i = 0; i < plan.RunLength; i++)
                    y[(run * plan.RunLength) + i] = Power(plan.AMoves ? a[fromA + i] : oneA, plan.BMoves ? b[fromB + i] : oneB);
            }
        }

        private TBase Power<TBase, T>(TBase x, T exponent) where TBase : IBinaryInteger<TBase> where T : INumber<T>
        {
            if (T.IsNegative(exponent) && TBase.IsZero(x)) throw node.Malformed($"the integer 0 is raised to {exponent}");
            if (!T.IsInteger(exponent) || T.IsNegative(exponent)) return TBase.CreateSaturating(DoublePower.Of(double.CreateTruncating(x), double.CreateTruncating(exponent)));
            var power = TBase.One;
            for (ulong left = ulong.CreateSaturating(exponent); left > 0; left >>= 1)
            {
                if ((left & 1) != 0) power = unchecked(power * x);
                x = unchecked(x * x);
            }
            return power;
        }
    }
}
