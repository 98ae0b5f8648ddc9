using System.Numerics;

namespace MLNet.Quantization.Ops.Recurrent;

/// <summary>W, B and P of one direction while training, each gate's filled up to <see cref="Width"/>, and the way of their gradients back.</summary>
/// <param name="form">The node.</param>
/// <param name="direction">0 or 1.</param>
/// <param name="inputs">Elements of a row of x.</param>
/// <param name="hidden">Units.</param>
internal sealed class DirectionParameters<T>(RecurrentForm form, int direction, int inputs, int hidden) where T : unmanaged, IFloatingPointIeee754<T>
{
    private static readonly RecurrentInputs At = RecurrentForm.Inputs(engine: false);

    private readonly T[] _wGradient = new T[form.Gates * RecurrentWeights.WidthOf(hidden) * inputs];

    public int Width { get; } = RecurrentWeights.WidthOf(hidden);

    public int Columns => form.Gates * Width;

    /// <summary>[Columns, inputs].</summary>
    public T[] W { get; } = new T[form.Gates * RecurrentWeights.WidthOf(hidden) * inputs];

    /// <summary>What is added to x · W: both biases, but for a last gate whose own is multiplied.</summary>
    public T[] Bias { get; } = new T[form.Gates * RecurrentWeights.WidthOf(hidden)];

    /// <summary>What is added to h · R; empty where all is in <see cref="Bias"/>.</summary>
    public T[] StateBias { get; } = new T[form is { Cell: "GRU", ResetsAfter: true } ? form.Gates * RecurrentWeights.WidthOf(hidden) : 0];

    /// <summary>Three of <see cref="Width"/>, in memory that stays; null where the node has none.</summary>
    public RowBuffer<T>? Peepholes { get; private set; }

    /// <summary>Brings all up to date.</summary>
    public void Take(TapeNode<T> node)
    {
        RecurrentWeights.PadGates(Of(node.Input(1).Data), form.Gates, W.AsSpan());
        if (node.Has(At.Bias)) TakeBias(Of(node.Input(At.Bias).Data));
        if (!form.IsLstm || !node.Has(At.Peepholes)) return;
        Peepholes ??= new(1, 3 * Width);
        RecurrentWeights.PadGates(Of(node.Input(At.Peepholes).Data), 3, Peepholes.Data.AsSpan());
    }

    /// <summary>R, [gates · hidden, hidden].</summary>
    public ReadOnlySpan<T> R(TapeNode<T> node) => Of(node.Input(2).Data);

    /// <summary>The part of this direction in a gradient of R.</summary>
    public Span<T> RGradient(Values<T> gradient) => Of(gradient.Data);

    /// <summary>Adds to the gradients of W and B.</summary>
    /// <param name="node">The layer.</param>
    /// <param name="x">What W multiplied.</param>
    /// <param name="input">Gradients of x · W.</param>
    /// <param name="state">Gradients of h · R, as far as they are others.</param>
    public void AddGradients(TapeNode<T> node, RowBuffer<T> x, RowBuffer<T> input, RowBuffer<T> state)
    {
        if (node.InputGradient(1) is { } w)
        {
            Products.Multiply<T>(input.Data, true, x.Data, false, Columns, x.Data.Length / Math.Max(1, inputs), inputs, _wGradient, add: false, node.Memory);
            AddGates(_wGradient, Of(w.Data), form.Gates, inputs);
        }
        if (node.InputGradient(At.Bias) is not { } b) return;
        var both = Of(b.Data);
        AddGates(ColumnSums(input, node.Memory), both[..(form.Gates * hidden)], form.Gates, 1);
        AddGates(ColumnSums(StateBias.Length > 0 ? state : input, node.Memory), both[(form.Gates * hidden)..], form.Gates, 1);
    }

    /// <summary>Adds to the gradient of P, where one is wanted.</summary>
    /// <param name="node">The layer.</param>
    /// <param name="input">Gradients of all sums.</param>
    /// <param name="cells">c before each step; those after it are <paramref name="batch"/> rows on.</param>
    /// <param name="batch">Rows of a step.</param>
    /// <param name="rows">Of all steps.</param>
    public void AddPeepholeGradient(TapeNode<T> node, RowBuffer<T> input, RowBuffer<T> cells, int batch, int rows)
    {
        if (!form.IsLstm || node.InputGradient(At.Peepholes) is not { } p) return;
        var sums = node.Memory.Take<T>(3, 3 * Width);
        sums.Clear();
        for (int i = 0; i < rows; i++)
            for (int gate = 0; gate < 3; gate++)
                Vectors.AddProduct<T>(input[i].Slice(gate * Width, Width), cells[gate == 1 ? i + batch : i], sums.Slice(gate * Width, Width));
        AddGates(sums, Of(p.Data), 3, 1);
    }

    private void TakeBias(ReadOnlySpan<T> both)
    {
        ReadOnlySpan<T> ofW = both[..(form.Gates * hidden)], ofR = both[(form.Gates * hidden)..];
        int joined = StateBias.Length > 0 ? 2 : form.Gates;
        RecurrentWeights.PadGates(ofW, form.Gates, Bias.AsSpan());
        for (int gate = 0; gate < form.Gates; gate++)
        {
            var part = ofR.Slice(gate * hidden, hidden);
            if (gate < joined) Vectors.Add(part, Bias.AsSpan(gate * Width, hidden));
            else part.CopyTo(StateBias.AsSpan(gate * Width));
        }
    }

    private Span<T> Of(T[] all)
    {
        int count = all.Length / form.DirectionCount;
        return all.AsSpan(direction * count, count);
    }

    private static Span<T> ColumnSums(RowBuffer<T> rows, TapeMemory memory)
    {
        var sums = memory.Take<T>(3, rows.Width);
        sums.Clear();
        for (int i = 0; i < rows.Data.Length / rows.Width; i++) Vectors.Add(rows[i], sums);
        return sums;
    }

    /// <summary>Adds padded gates to gates that lie close together, of rows of k elements.</summary>
    private void AddGates(ReadOnlySpan<T> padded, Span<T> close, int gates, int k)
    {
        for (int gate = 0; gate < gates; gate++) Vectors.Add(padded.Slice(gate * Width * k, hidden * k), close.Slice(gate * hidden * k, hidden * k));
    }
}
