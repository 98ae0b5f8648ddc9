using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>When scoring: y = x, and a mask of ones.</summary>
internal sealed class Dropout : Operator
{
    public override string OpType => "Dropout";

    public override ValueFact[] Infer(OpContext context)
    {
        if (context.Optional(2) is { } training && !(training.Value is { Type: ElementType.Bool } mode && !mode.Span<bool>()[0]))
            throw context.Unsupported("training_mode is set or computed; supported: scoring");
        var x = context.Input(0);
        // Before opset 10 the mask has the type of the data.
        return context.OutputCount > 1 ? [x with { Value = null }, new(context.Opset < 10 ? x.Type : ElementType.Bool, x.Shape)] : [x];
    }

    public override Step Prepare(PrepareContext context)
    {
        if (context.OutputCount < 2 || context.Node.Outputs[1].Length == 0) return new AliasStep();
        if (context.Opset < 10) throw context.Unsupported("its mask is read; supported: from opset 10");
        return new MaskStep();
    }

    private sealed class MaskStep : Step
    {
        public override bool ReadsAtRun(int input) => input == 0;

        public override void Run(in StepContext context)
        {
            context.Input<byte>(0).CopyTo(context.Output<byte>(0));
            context.Output<bool>(1).Fill(true);
        }
    }
}
