using System.Numerics;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>Two tensors of one type combined element by element, broadcast as NumPy does. Integers, which shape arithmetic uses, wrap.</summary>
internal abstract class BinaryOperator : Operator
{
    /// <summary>The types that its inputs may have.</summary>
    protected abstract ElementType[] Types { get; }

    public override ValueFact[] Infer(OpContext context)
    {
        var a = context.Input(0, Types);
        var b = context.Input(1);
        if (a.Type != b.Type) throw context.Malformed($"its inputs are {a.Type} and {b.Type}, expected one type");
        if (context.Node.Attributes.Contains("broadcast")) throw context.Unsupported("attribute 'broadcast' belongs to opsets before 7");
        var op = For(context);
        return [ShapeEntry.Combine(a, b, new(a.Type, ShapeRules.Broadcast(context, a.Shape, b.Shape)), (x, y) => op.Combine(context, a.Type, x, y))];
    }

    public override Step Prepare(PrepareContext context) => new BinaryStep(For(context), context);

    /// <summary>The operator with what the node's attributes say, which are not read for each element.</summary>
    protected virtual BinaryOperator For(OpContext context) => this;

    /// <summary>The integer form; wraps.</summary>
    protected abstract T Combine<T>(OpContext node, T x, T y) where T : IBinaryInteger<T>;

    /// <summary>The form of float32, where <see cref="Types"/> has it.</summary>
    protected virtual void Floats(OpContext node, BroadcastPlan plan, ReadOnlySpan<float> a, ReadOnlySpan<float> b, Span<float> y) => throw new NotSupportedException();

    /// <summary>What is known of an entry: by default, the result of two numbers.</summary>
    protected virtual ShapeEntry Combine(OpContext node, ElementType type, ShapeEntry x, ShapeEntry y)
    {
        if (x.Number is not { } a || y.Number is not { } b) return default;
        return ShapeEntry.Of(type == ElementType.Int32 ? Combine(node, unchecked((int)a), unchecked((int)b)) : Combine(node, a, b));
    }

    private sealed class BinaryStep(BinaryOperator op, PrepareContext node) : Step, IIntegerStep
    {
        public override bool CanOverwrite(int input) => true;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) =>
            new(0, new BroadcastPlan(inputs[0]!.Dims, inputs[1]!.Dims, outputs[0]!.Dims));

        public override void Run(in StepContext context)
        {
            if (context.Outputs[0].Type == ElementType.Float) op.Floats(node, (BroadcastPlan)context.State!, context.Input<float>(0), context.Input<float>(1), context.Output<float>(0));
            else NumberTypes.Run(context.Outputs[0].Type, this, context);
        }

        public void Integers<T>(in StepContext context) where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
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
