using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>Says of each float32 element whether it is of a kind; y is bool.</summary>
internal abstract class FloatTest : Operator
{
    public override ValueFact[] Infer(OpContext context) => [new(ElementType.Bool, context.Input(0, ElementType.Float).Shape)];

    public override Step Prepare(PrepareContext context) => new TestStep(KindOf(context));

    protected abstract Predicate<float> KindOf(OpContext context);

    private sealed class TestStep(Predicate<float> isOfKind) : Step
    {
        public override void Run(in StepContext context)
        {
            var x = context.Input<float>(0);
            var y = context.Output<bool>(0);
            for (int i = 0; i < y.Length; i++) y[i] = isOfKind(x[i]);
        }
    }
}

/// <summary>Whether x is NaN.</summary>
internal sealed class IsNaN : FloatTest
{
    public override string OpType => "IsNaN";

    protected override Predicate<float> KindOf(OpContext context) => float.IsNaN;
}

/// <summary>Whether x is infinite; of one sign alone where <c>detect_positive</c> or <c>detect_negative</c> is 0.</summary>
internal sealed class IsInf : FloatTest
{
    public override string OpType => "IsInf";

    protected override Predicate<float> KindOf(OpContext context)
    {
        bool above = context.Attribute("detect_positive", 1L) != 0, below = context.Attribute("detect_negative", 1L) != 0;
        return x => above && float.IsPositiveInfinity(x) || below && float.IsNegativeInfinity(x);
    }
}
