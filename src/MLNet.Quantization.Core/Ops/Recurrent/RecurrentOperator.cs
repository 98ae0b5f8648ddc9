using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops.Recurrent;

/// <summary>
/// LSTM, GRU and RNN of the ONNX standard, float32: all directions, initial states, sequence lengths, peepholes, clip, activations and both
/// layouts. Behind the end of a row's sequence Y is 0; Y_h and Y_c are the states at its end, which for an empty one are the initial states.
/// </summary>
internal sealed partial class RecurrentOperator(string cell) : Operator
{
    public override string OpType => cell;

    public override ValueFact[] Infer(OpContext context)
    {
        for (int i = 0; i < 3; i++) context.Input(i, ElementType.Float);
        return new RecurrentForm(context, cell).Infer(context, RecurrentForm.Inputs(engine: false));
    }

    public override Step Prepare(PrepareContext context)
    {
        var form = new RecurrentForm(context, cell);
        var at = RecurrentForm.Inputs(engine: false);
        int[] parts = form.IsLstm ? [1, 2, at.Bias, at.Peepholes] : [1, 2, at.Bias];
        if (parts.All(i => context.Optional(i) is null or { Value: not null }))
            return new RecurrentStep(context, form, at, Cells(form, i => context.Constant(i) is { } t ? (t.Span<float>().ToArray(), t.Dims) : null), null);
        return new RecurrentStep(context, form, at, null, (in StepContext run) =>
        {
            // A span cannot be captured: the inputs are copied, since their weights are packed anyway.
            var inputs = new (float[] Values, int[] Dims)?[at.Peepholes + 1];
            foreach (int i in parts)
                if (i < run.Inputs.Length && run.Inputs[i].IsPresent) inputs[i] = (run.Input<float>(i).ToArray(), run.Inputs[i].Dims);
            return Cells(form, i => inputs[i]);
        });
    }

    private static RecurrentCell[] Cells(RecurrentForm form, Func<int, (float[] Values, int[] Dims)?> input)
    {
        var at = RecurrentForm.Inputs(engine: false);
        var ((w, wDims), (r, rDims)) = (input(1)!.Value, input(2)!.Value);
        return RecurrentCell.CreateAll(form, new FloatRecurrentWeights(form.Gates, wDims[2], rDims[2], w, r), input(at.Bias)?.Values, form.IsLstm ? input(at.Peepholes)?.Values : null);
    }
}
