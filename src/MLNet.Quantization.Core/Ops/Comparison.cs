using System.Numerics;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>Compares two tensors of one type element by element, broadcast as NumPy does; y is bool. NaN is neither equal to nor less than anything.</summary>
internal abstract class Comparison : Operator
{
    public override ValueFact[] Infer(OpContext context)
    {
        var a = context.Input(0, ElementType.Float, ElementType.Int32, ElementType.Int64, ElementType.Int8, ElementType.UInt8, ElementType.Int16, ElementType.UInt16, ElementType.UInt32, ElementType.UInt64, ElementType.Bool);
        var b = context.Input(1);
        if (a.Type != b.Type) throw context.Malformed($"its inputs are {a.Type} and {b.Type}, expected one type");
        return [new(ElementType.Bool, ShapeRules.Broadcast(context, a.Shape, b.Shape))];
    }

    public override Step Prepare(PrepareContext context) => new CompareStep(this);

    protected abstract bool Holds<T>(T x, T y) where T : INumber<T>;

    private sealed class CompareStep(Comparison op) : Step
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) =>
            new(0, new BroadcastPlan(inputs[0]!.Dims, inputs[1]!.Dims, outputs[0]!.Dims));

        public override void Run(in StepContext context)
        {
            switch (context.Inputs[0].Type)
            {
                case ElementType.Float: Compare<float>(context); break;
                case ElementType.Int32: Compare<int>(context); break;
                case ElementType.Int64: Compare<long>(context); break;
                case ElementType.Int8: Compare<sbyte>(context); break;
                case ElementType.Int16: Compare<short>(context); break;
                case ElementType.UInt16: Compare<ushort>(context); break;
                case ElementType.UInt32: Compare<uint>(context); break;
                case ElementType.UInt64: Compare<ulong>(context); break;
                default: Compare<byte>(context); break;
            }
        }

        private void Compare<T>(in StepContext context) where T : unmanaged, INumber<T>
        {
            var plan = (BroadcastPlan)context.State!;
            ReadOnlySpan<T> a = context.Input<T>(0), b = context.Input<T>(1);
            var y = context.Output<bool>(0);
            for (int run = 0; run < plan.Runs; run++)
            {
                var (fromA, fromB) = plan.StartOf(run);
                for (int i = 0; i < plan.RunLength; i++)
                    y[(run * plan.RunLength) + i] = op.Holds(a[plan.AMoves ? fromA + i : fromA], b[plan.BMoves ? fromB + i : fromB]);
            }
        }
    }
}

/// <summary>x = y.</summary>
internal sealed class Equal : Comparison
{
    public override string OpType => "Equal";

    protected override bool Holds<T>(T x, T y) => x == y;
}

/// <summary>x &gt; y.</summary>
internal sealed class Greater : Comparison
{
    public override string OpType => "Greater";

    protected override bool Holds<T>(T x, T y) => x > y;
}

/// <summary>x ≥ y.</summary>
internal sealed class GreaterOrEqual : Comparison
{
    public override string OpType => "GreaterOrEqual";

    protected override bool Holds<T>(T x, T y) => x >= y;
}

/// <summary>x &lt; y.</summary>
internal sealed class Less : Comparison
{
    public override string OpType => "Less";

    protected override bool Holds<T>(T x, T y) => x < y;
}

/// <summary>x ≤ y.</summary>
internal sealed class LessOrEqual : Comparison
{
    public override string OpType => "LessOrEqual";

    protected override bool Holds<T>(T x, T y) => x <= y;
}
