using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>The number of elements of x, an int64 scalar.</summary>
internal sealed class Size : Operator
{
    public override string OpType => "Size";

    public override ValueFact[] Infer(OpContext context)
    {
        ValueFact count = new(ElementType.Int64, new());
        return [context.Input(0).Shape is { } shape ? ShapeEntry.With(count, [ShapeEntry.Of(ShapeRules.Product(shape.Dims))]) : count];
    }

    public override Step Prepare(PrepareContext context) => new SizeStep();

    private sealed class SizeStep : Step
    {
        public override void Run(in StepContext context) => context.Output<long>(0)[0] = context.Inputs[0].Count;
    }
}
