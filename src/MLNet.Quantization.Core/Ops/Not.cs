using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>Bool turned round, element by element.</summary>
internal sealed class Not : Operator
{
    public override string OpType => "Not";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, ElementType.Bool);
        var entries = ShapeEntry.AllOf(x);
        return [ShapeEntry.With(new(x.Type, x.Shape), entries is null ? null : Array.ConvertAll(entries, e => e.Number is { } n ? ShapeEntry.Of(n == 0) : default))];
    }

    public override Step Prepare(PrepareContext context) => new NotStep();

    private sealed class NotStep : Step
    {
        public override bool CanOverwrite(int input) => true;

        public override void Run(in StepContext context)
        {
            var x = context.Input<bool>(0);
            var y = context.Output<bool>(0);
            for (int i = 0; i < x.Length; i++) y[i] = !x[i];
        }
    }
}
