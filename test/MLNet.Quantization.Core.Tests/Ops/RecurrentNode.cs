using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>A random LSTM, GRU or RNN as a graph of one node: x, sequence_lens, initial_h and initial_c are inputs of a run, weights are constants.</summary>
internal sealed class RecurrentNode
{
    private static readonly string[] Functions = ["Sigmoid", "Tanh", "Relu", "HardSigmoid", "Softsign", "LeakyRelu", "Elu", "Affine", "ScaledTanh", "ThresholdedRelu", "Softplus"];

    private readonly Random _random;

    public RecurrentNode(string cell, int seed, int steps, int batch, int inputs, int hidden, bool usual = true, string? direction = null, bool batchFirst = false, bool lengths = true)
    {
        _random = new(seed);
        (Cell, Steps, Batch, Inputs, Hidden, BatchFirst) = (cell, steps, batch, inputs, hidden, batchFirst);
        Direction = direction ?? new[] { "forward", "reverse", "bidirectional" }[_random.Next(3)];
        Attributes = AttributeMap.Empty.With("hidden_size", hidden).With("direction", Direction);
        if (batchFirst) Attributes = Attributes.With("layout", 1);
        if (!usual && _random.Next(2) == 0)
        {
            // Bounded gates keep a recurrence from growing without end.
            string[] one = cell == "LSTM" ? [Functions[_random.Next(2)], Functions[_random.Next(5)], Functions[_random.Next(Functions.Length)]] : cell == "GRU" ? [Functions[_random.Next(2)], Functions[_random.Next(5)]] : [Functions[_random.Next(5)]];
            // ONNX Runtime has not the standard's parameters for those that it is not given.
            string[] all = [.. Enumerable.Repeat(one, Directions).SelectMany(o => o)];
            Attributes = Attributes.With("activations", all.ToImmutableArray())
                .With("activation_alpha", all.Where(f => f is not ("Sigmoid" or "Tanh" or "Relu" or "Softsign" or "Softplus")).Select(_ => 0.4f).ToImmutableArray())
                .With("activation_beta", all.Where(f => f is "HardSigmoid" or "Affine" or "ScaledTanh").Select(_ => 0.3f).ToImmutableArray());
        }
        if (!usual && _random.Next(2) == 0) Attributes = Attributes.With("clip", 0.75f);
        ResetsAfter = cell == "GRU" && _random.Next(2) == 0;
        if (ResetsAfter) Attributes = Attributes.With("linear_before_reset", 1);
        int gates = Gates;
        W = Floats(0.6f, Directions, gates * hidden, inputs);
        R = Floats(0.6f, Directions, gates * hidden, hidden);
        B = _random.Next(3) > 0 ? Floats(0.5f, Directions, 2 * gates * hidden) : null;
        P = cell == "LSTM" && !usual && _random.Next(2) == 0 ? Floats(0.5f, Directions, 3 * hidden) : null;
        X = batchFirst ? Floats(2, batch, steps, inputs) : Floats(2, steps, batch, inputs);
        Lengths = lengths && _random.Next(2) == 0 ? [.. Enumerable.Range(0, batch).Select(_ => _random.Next(1, steps + 1))] : null;
        int[] state = batchFirst ? [batch, Directions, hidden] : [Directions, batch, hidden];
        H = _random.Next(2) == 0 ? Floats(1, state) : null;
        C = cell == "LSTM" && _random.Next(2) == 0 ? Floats(1, state) : null;
    }

    public string Cell { get; }

    public string Direction { get; }

    public int Steps { get; }

    public int Batch { get; }

    public int Inputs { get; }

    public int Hidden { get; }

    public bool BatchFirst { get; }

    public bool ResetsAfter { get; }

    public AttributeMap Attributes { get; set; }

    public Tensor W { get; }

    public Tensor R { get; }

    public Tensor? B { get; }

    public Tensor? P { get; }

    public Tensor X { get; set; }

    public int[]? Lengths { get; set; }

    public Tensor? H { get; set; }

    public Tensor? C { get; set; }

    public int Directions => Direction == "bidirectional" ? 2 : 1;

    public int Gates => Cell switch { "LSTM" => 4, "GRU" => 3, _ => 1 };

    public ModelGraph Graph()
    {
        var constants = ImmutableDictionary<string, Tensor>.Empty.Add("w", W).Add("r", R);
        if (B is not null) constants = constants.Add("b", B);
        if (P is not null) constants = constants.Add("p", P);
        string[] names = ["x", "w", "r", B is null ? "" : "b", Lengths is null ? "" : "lengths", H is null ? "" : "h", .. Cell == "LSTM" ? new[] { C is null ? "" : "c", P is null ? "" : "p" } : []];
        string[] outputs = Cell == "LSTM" ? ["y", "y_h", "y_c"] : ["y", "y_h"];
        var inputs = new List<ValueInfo> { new("x", ElementType.Float, X.Shape) };
        if (Lengths is not null) inputs.Add(new("lengths", ElementType.Int32, new TensorShape(Batch)));
        if (H is not null) inputs.Add(new("h", ElementType.Float, H.Shape));
        if (C is not null) inputs.Add(new("c", ElementType.Float, C.Shape));
        return new()
        {
            Inputs = [.. inputs],
            Outputs = [.. outputs.Select(o => new ValueInfo(o, ElementType.Float, null))],
            Nodes = [Node.Create("layer", Cell, [.. names.Reverse().SkipWhile(n => n.Length == 0).Reverse()], outputs) with { Attributes = Attributes }],
            Initializers = constants,
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 14),
        };
    }

    /// <summary>What a run is given.</summary>
    public List<Tensor> Fed()
    {
        var fed = new List<Tensor> { X };
        if (Lengths is not null) fed.Add(Tensor.Create(Lengths, Batch));
        if (H is not null) fed.Add(H);
        if (C is not null) fed.Add(C);
        return fed;
    }

    public override string ToString() =>
        $"{Cell} T={Steps} B={Batch} I={Inputs} H={Hidden} {string.Join(' ', Attributes.Select(a => $"{a.Key}={(a.Value is ImmutableArray<string> list ? string.Join(',', list) : a.Value)}"))} lengths={(Lengths is null ? "" : string.Join(',', Lengths))} b={B} p={P} h={H} c={C}";

    private Tensor Floats(float span, params int[] dims) => Tensor.Create([.. Enumerable.Range(0, OneNode.Count(dims)).Select(_ => ((_random.NextSingle() * 2) - 1) * span)], dims);
}
