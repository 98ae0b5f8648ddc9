using System.Numerics;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>A relation of two tensors of one type element by element, broadcast as NumPy does; y is bool. NaN is neither equal to nor less than anything.</summary>
internal abstract class Comparison : Operator
{
    private static readonly ElementType[] Comparable = [.. NumberTypes.All, ElementType.Bool];

    /// <summary>The types that its inputs may have.</summary>
    protected virtual ElementType[] Types => Comparable;

    public override ValueFact[] Infer(OpContext context)
    {
        var a = context.Input(0, Types);
        var b = context.Input(1);
        if (a.Type != b.Type) throw context.Malformed($"its inputs are {a.Type} and {b.Type}, expected one type");
        return [ShapeEntry.Combine(a, b, new(ElementType.Bool, ShapeRules.Broadcast(context, a.Shape, b.Shape)), Compare)];
    }

    public override Step Prepare(PrepareContext context) => new CompareStep(this);

    protected abstract bool Holds<T>(T x, T y) where T : INumber<T>;

    private ShapeEntry Compare(ShapeEntry x, ShapeEntry y)
    {
        if (x.Number is { } a && y.Number is { } b) return ShapeEntry.Of(Holds(a, b));
        // What an extent is does not matter where both sides are the same one, or the other side is below 0.
        bool same = x == y && x.Extent.Symbol is not null;
        if (same || x.Extent.Symbol is not null && y.Number < 0) return ShapeEntry.Of(Holds(0, y.Number ?? 0));
        return y.Extent.Symbol is not null && x.Number < 0 ? ShapeEntry.Of(Holds(x.Number.Value, 0)) : default;
    }

    private sealed class CompareStep(Comparison op) : Step, INumberStep
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) =>
            new(0, new BroadcastPlan(inputs[0]!.Dims, inputs[1]!.Dims, outputs[0]!.Dims));

        public override void Run(in StepContext context) => NumberTypes.Run(context.Inputs[0].Type, this, context);

        public void Numbers<T>(in StepContext context) where T : unmanaged, INumber<T>, IMinMaxValue<T>
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
