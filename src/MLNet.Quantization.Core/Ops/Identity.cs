namespace MLNet.Quantization.Ops;

/// <summary>y = x. Any type and shape; the output is the input's memory.</summary>
internal sealed partial class Identity : Operator
{
    public override string OpType => "Identity";

    public override ValueFact[] Infer(OpContext context) => [context.Input(0)];

    public override Step Prepare(PrepareContext context) => new AliasStep();
}
