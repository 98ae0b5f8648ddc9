using System.Numerics;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Two tensors of one type combined element by element, broadcast as NumPy does. float32 by the kernels, integers (which shape
/// arithmetic uses) by their own arithmetic, which wraps.
/// </summary>
internal abstract class ArithmeticOperator<TFunction> : Operator where TFunction : struct, IBinaryFunction
{
    public override ValueFact[] Infer(OpContext context)
    {
        var a = context.Input(0, ElementType.Float, ElementType.Int32, ElementType.Int64, ElementType.Int8, ElementType.UInt8, ElementType.Int16, ElementType.UInt16, ElementType.UInt32, ElementType.UInt64);
        var b = context.Input(1);
        if (a.Type != b.Type) throw context.Malformed($"its inputs are {a.Type} and {b.Type}, expected one type");
        if (context.Node.Attributes.Contains("broadcast")) throw context.Unsupported("attribute 'broadcast' belongs to opsets before 7");
        return [new(a.Type, ShapeRules.Broadcast(context, a.Shape, b.Shape))];
    }

    public override Step Prepare(PrepareContext context) => new ArithmeticStep(this, context);

    /// <summary>The integer form; wraps.</summary>
    protected abstract T Combine<T>(OpContext node, T x, T y) where T : IBinaryInteger<T>;

    private sealed class ArithmeticStep(ArithmeticOperator<TFunction> op, PrepareContext node) : Step
    {
        public override bool CanOverwrite(int input) => true;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) =>
            new(0, new BroadcastPlan(inputs[0]!.Dims, inputs[1]!.Dims, outputs[0]!.Dims));

        public override void Run(in StepContext context)
        {
            switch (context.Outputs[0].Type)
            {
                case ElementType.Float: Floats(context); break;
                case ElementType.Int32: Integers<int>(context); break;
                case ElementType.Int64: Integers<long>(context); break;
                case ElementType.Int8: Integers<sbyte>(context); break;
                case ElementType.UInt8: Integers<byte>(context); break;
                case ElementType.Int16: Integers<short>(context); break;
                case ElementType.UInt16: Integers<ushort>(context); break;
                case ElementType.UInt32: Integers<uint>(context); break;
                default: Integers<ulong>(context); break;
            }
        }

        private static void Floats(in StepContext context)
        {
            var plan = (BroadcastPlan)context.State!;
            ReadOnlySpan<float> a = context.Input<float>(0), b = context.Input<float>(1);
            var y = context.Output<float>(0);
            int aCount = plan.AMoves ? plan.RunLength : 1, bCount = plan.BMoves ? plan.RunLength : 1;
            for (int run = 0; run < plan.Runs; run++)
            {
                var (fromA, fromB) = plan.StartOf(run);
                Elementwise.Combine<TFunction>(a.Slice(fromA, aCount), b.Slice(fromB, bCount), y.Slice(run * plan.RunLength, plan.RunLength));
            }
        }

        private void Integers<T>(in StepContext context) where T : unmanaged, IBinaryInteger<T>
        {
            var plan = (BroadcastPlan)context.State!;
            ReadOnlySpan<T> a = context.Input<T>(0), b = context.Input<T>(1);
            var y = context.Output<T>(0);
            for (int run = 0; run < plan.Runs; run++)
            {
                var (fromA, fromB) = plan.StartOf(run);
                // What stands still is read first: the result may lie over it.
                T oneA = a[fromA], oneB = b[fromB];
                for (int i = 0; i < plan.RunLength; i++)
                    y[(run * plan.RunLength) + i] = op.Combine(node, plan.AMoves ? a[fromA + i] : oneA, plan.BMoves ? b[fromB + i] : oneB);
            }
        }
    }
}
