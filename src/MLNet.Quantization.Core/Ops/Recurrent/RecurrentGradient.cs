using System.Numerics;

namespace MLNet.Quantization.Ops.Recurrent;

/// <summary>
/// An LSTM, GRU or RNN while training. Where it learns for INT8, float32 rounds the rows that R multiplies, h and of a reset gate r ⊙ h, as
/// <see cref="Quantized.QuantizedRecurrent"/> will: to u8, each row by its own range at each step. No value is clipped by that, so gradients
/// go straight through. W and R come rounded from the nodes before. In double nothing is rounded: finite differences would not see it.
/// </summary>
/// <param name="cell">LSTM, GRU or RNN.</param>
/// <param name="roundsState">It learns for INT8.</param>
internal sealed class RecurrentGradient(string cell, bool roundsState) : IDifferentiable
{
    private static readonly RecurrentInputs At = RecurrentForm.Inputs(engine: false);

    private readonly int[] _learned = cell == "LSTM" ? [1, 2, At.Bias, At.Peepholes] : [1, 2, At.Bias];

    public string OpType => cell;

    public ReadOnlySpan<int> LearnedInputs => _learned;

    public ValueFact[] Infer(OpContext context) => new RecurrentForm(context, cell).Infer(context, At);

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var directions = DirectionsOf(node);
        // Behind the ends of sequences Y is 0.
        if (node.Outputs[0] is { } y) Array.Clear(y.Data);
        var lengths = LengthsOf(node);
        foreach (var direction in directions) direction.Forward(node, lengths);
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        foreach (var direction in DirectionsOf(node)) direction.Backward(node);
    }

    private DirectionTape<T>[] DirectionsOf<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.State is DirectionTape<T>[] known) return known;
        var form = new RecurrentForm(node.Context, cell);
        int[] x = node.Input(0).Dims;
        var layout = new RecurrentLayout(x[form.BatchFirst ? 1 : 0], x[form.BatchFirst ? 0 : 1], form.DirectionCount, form.BatchFirst);
        DirectionTape<T>[] made = [.. Enumerable.Range(0, form.DirectionCount).Select(d => new DirectionTape<T>(form, layout, d, x[2], node.Input(2).Dims[2], roundsState, node.MaxThreads))];
        node.State = made;
        return made;
    }

    private static long[] LengthsOf<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (At.Lengths >= node.Inputs.Length) return [];
        long[] lengths = node.Integers[At.Lengths]?.Data ?? node.Context.Optional(At.Lengths)?.Value?.ToInt64s() ?? [];
        for (int row = 0; row < lengths.Length; row++)
        {
            int[] x = node.Input(0).Dims;
            RecurrentForm.CheckLength(node.Context, row, lengths[row], x[node.Context.Attribute("layout", 0L) != 0 ? 1 : 0]);
        }
        return lengths;
    }
}
