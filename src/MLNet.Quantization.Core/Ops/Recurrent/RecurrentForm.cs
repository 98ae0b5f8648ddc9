using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Recurrent;

/// <summary>The attributes of an LSTM, GRU or RNN node, checked, and the shapes that follow from them.</summary>
internal sealed class RecurrentForm
{
    private static readonly ImmutableArray<string> Directions = ["forward", "reverse", "bidirectional"];

    /// <param name="node">The node.</param>
    /// <param name="cell">LSTM, GRU or RNN.</param>
    public RecurrentForm(OpContext node, string cell)
    {
        Cell = cell;
        string direction = node.Attribute("direction", "forward");
        if (!Directions.Contains(direction)) throw node.Malformed($"direction is '{direction}', expected one of {string.Join(", ", Directions)}");
        IsReverse = direction == "reverse";
        DirectionCount = direction == "bidirectional" ? 2 : 1;
        BatchFirst = node.Attribute("layout", 0L) switch
        {
            0 => false,
            1 => true,
            var other => throw node.Malformed($"layout is {other}, expected 0 or 1"),
        };
        Clip = node.Attribute("clip", float.PositiveInfinity);
        if (!(Clip > 0)) throw node.Malformed(FormattableString.Invariant($"clip is {Clip}, expected a number above 0"));
        CouplesGates = node.Attribute("input_forget", 0L) != 0;
        ResetsAfter = node.Attribute("linear_before_reset", 0L) != 0;
        Activations = GateActivations.Read(node, DirectionCount, UsualActivations(cell));
    }

    public string Cell { get; }

    public int Gates => GatesOf(Cell);

    public bool IsLstm => Cell == "LSTM";

    /// <summary>1 or 2.</summary>
    public int DirectionCount { get; }

    /// <summary>The only direction is backwards.</summary>
    public bool IsReverse { get; }

    /// <summary>x [batch, steps, ...] in place of [steps, batch, ...].</summary>
    public bool BatchFirst { get; }

    /// <summary>Infinity for none.</summary>
    public float Clip { get; }

    /// <summary>LSTM: <c>input_forget</c>.</summary>
    public bool CouplesGates { get; }

    /// <summary>GRU: <c>linear_before_reset</c>.</summary>
    public bool ResetsAfter { get; }

    /// <summary>By direction, then by function.</summary>
    public ImmutableArray<ImmutableArray<GateActivation>> Activations { get; }

    public static int GatesOf(string cell) => cell switch { "LSTM" => 4, "GRU" => 3, _ => 1 };

    private static string[] UsualActivations(string cell) => cell switch { "LSTM" => ["Sigmoid", "Tanh", "Tanh"], "GRU" => ["Sigmoid", "Tanh"], _ => ["Tanh"] };

    /// <summary>Position of an input beside x, which is 0, and the weights.</summary>
    /// <param name="engine">The engine's operator, which has the scales of W and R at 3 and 4.</param>
    public static RecurrentInputs Inputs(bool engine) => engine ? new(5, 6, 7, 8, 9) : new(3, 4, 5, 6, 7);

    /// <summary>Facts of the outputs: Y, Y_h and, of an LSTM, Y_c; as many as the node has.</summary>
    /// <param name="node">The node.</param>
    /// <param name="at">Where its inputs are.</param>
    public ValueFact[] Infer(OpContext node, RecurrentInputs at)
    {
        var x = Shape(node, 0, 3);
        TensorShape w = Shape(node, 1, 3), r = Shape(node, 2, 3);
        Dimension steps = x[BatchFirst ? 1 : 0], batch = x[BatchFirst ? 0 : 1], hidden = r[2];
        if (node.Node.Attributes.Contains("hidden_size"))
        {
            long declared = node.Attribute("hidden_size", 0L);
            if (hidden.IsKnown && hidden != declared) throw node.Malformed($"hidden_size is {declared}, R {r} is for {hidden}");
            hidden = declared;
        }
        if (!hidden.IsKnown) throw node.Unsupported("the number of hidden units follows neither from hidden_size nor from the shape of R");
        if (hidden.Value < 1 || hidden.Value > int.MaxValue / 64) throw node.Malformed($"{hidden} hidden units, expected 1 or more");
        Require(node, 1, w, DirectionCount, Gates * hidden.Value, x[2]);
        Require(node, 2, r, DirectionCount, Gates * hidden.Value, hidden);
        Optional(node, at.Bias, DirectionCount, 2 * Gates * hidden.Value);
        if (BatchFirst) Optional(node, at.State, batch, DirectionCount, hidden);
        else Optional(node, at.State, DirectionCount, batch, hidden);
        if (IsLstm)
        {
            if (BatchFirst) Optional(node, at.Cell, batch, DirectionCount, hidden);
            else Optional(node, at.Cell, DirectionCount, batch, hidden);
            Optional(node, at.Peepholes, DirectionCount, 3 * hidden.Value);
        }
        if (node.Optional(at.Lengths) is { } lengths)
        {
            if (lengths.Type != ElementType.Int32) throw node.Malformed($"sequence_lens is {lengths.Type}, expected Int32");
            if (lengths.Shape is { } l && (l.Rank != 1 || Differ(l[0], batch))) throw node.Malformed($"sequence_lens has shape {l}, expected [{batch}]");
        }
        TensorShape last = BatchFirst ? new(batch, DirectionCount, hidden) : new(DirectionCount, batch, hidden);
        TensorShape all = BatchFirst ? new(batch, steps, DirectionCount, hidden) : new(steps, DirectionCount, batch, hidden);
        ValueFact[] facts = [new(ElementType.Float, all), new(ElementType.Float, last), new(ElementType.Float, last)];
        if (node.OutputCount > (IsLstm ? 3 : 2)) throw node.Malformed($"it has {node.OutputCount} outputs, {Cell} has {(IsLstm ? 3 : 2)}");
        return facts[..node.OutputCount];
    }

    /// <param name="node">The node.</param>
    /// <param name="row">Of the batch.</param>
    /// <param name="length">Its entry of sequence_lens.</param>
    /// <param name="steps">Of the data.</param>
    /// <exception cref="ModelFormatException">The row is to be longer than the data.</exception>
    public static void CheckLength(OpContext node, int row, long length, int steps)
    {
        if (length < 0 || length > steps) throw node.Malformed(FormattableString.Invariant($"sequence_lens of row {row} is {length}, the data has {steps} steps"));
    }

    private static TensorShape Shape(OpContext node, int index, int rank)
    {
        var shape = node.Input(index).Shape ?? new TensorShape([.. Enumerable.Repeat(Dimension.Unknown, rank)]);
        return shape.Rank == rank ? shape : throw node.Malformed($"input {index} ('{node.Node.Inputs[index]}') has shape {shape}, expected {rank} axes");
    }

    private static bool Differ(Dimension a, Dimension b) => a.IsKnown && b.IsKnown && a != b;

    private static void Optional(OpContext node, int index, params Dimension[] expected)
    {
        if (node.Optional(index) is null) return;
        node.Input(index, ElementType.Float);
        Require(node, index, Shape(node, index, expected.Length), expected);
    }

    private static void Require(OpContext node, int index, TensorShape shape, params Dimension[] expected)
    {
        for (int i = 0; i < expected.Length; i++)
            if (Differ(shape[i], expected[i])) throw node.Malformed($"input {index} ('{node.Node.Inputs[index]}') has shape {shape}, expected [{string.Join(',', expected)}]");
    }
}

/// <summary>Positions of the inputs behind the weights: B, sequence_lens, initial_h, initial_c, P.</summary>
internal readonly record struct RecurrentInputs(int Bias, int Lengths, int State, int Cell, int Peepholes);
