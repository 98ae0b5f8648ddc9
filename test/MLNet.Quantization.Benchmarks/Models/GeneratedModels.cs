using System.Collections.Immutable;
using System.Globalization;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Benchmarks;

/// <summary>Networks that no file holds: their weights come from a seeded generator, since speed does not depend on what the numbers are.</summary>
internal static class GeneratedModels
{
    private const int Steps = 100, Tokens = 128, Width = 384, Heads = 12, Inner = 1536, Layers = 6, HeadUnits = 5;

    public static IReadOnlyList<string> Names { get; } =
        ["lstm_16_32_head_5", "lstm_16_32", "lstm_64_128", "lstm_256_512", "gru_16_32", "gru_64_128", "gru_256_512", "minilm_shape"];

    /// <summary>The float network of that name, or null.</summary>
    public static ModelGraph? Find(string name)
    {
        if (name == "minilm_shape") return Encoder();
        if (!Names.Contains(name)) return null;
        string[] parts = name.Split('_');
        int inputs = int.Parse(parts[1], CultureInfo.InvariantCulture), units = int.Parse(parts[2], CultureInfo.InvariantCulture);
        var graph = new Builder();
        string y = graph.Recurrent(parts[0].ToUpperInvariant(), inputs, units);
        return parts.Length == 3 ? graph.Build(y, Steps, inputs, units) : graph.Build(graph.Dense(y, units, HeadUnits), Steps, inputs, HeadUnits);
    }

    /// <summary>An encoder in the shape of MiniLM: self-attention and two dense layers, each with a residual and a LayerNormalization behind.</summary>
    private static ModelGraph Encoder()
    {
        var graph = new Builder();
        string x = "input";
        for (int layer = 0; layer < Layers; layer++)
        {
            string q = graph.Split(graph.Dense(x, Width, Width)), k = graph.Split(graph.Dense(x, Width, Width)), v = graph.Split(graph.Dense(x, Width, Width));
            string scores = graph.Add("Div", graph.Add("MatMul", q, graph.Turn(k, 0, 1, 3, 2)), graph.Number(MathF.Sqrt(Width / Heads)));
            string context = graph.Turn(graph.Add("MatMul", graph.Add("Softmax", scores), v), 0, 2, 1, 3);
            x = graph.Normalize(graph.Add("Add", graph.Dense(graph.Add("Reshape", context, graph.List(0, 0, Width)), Width, Width), x));
            string inner = graph.Dense(x, Width, Inner);
            string erf = graph.Add("Add", graph.Add("Erf", graph.Add("Div", inner, graph.Number(MathF.Sqrt(2)))), graph.Number(1));
            x = graph.Normalize(graph.Add("Add", graph.Dense(graph.Add("Mul", graph.Add("Mul", inner, erf), graph.Number(0.5f)), Inner, Width), x));
        }
        return graph.Build(x, Tokens, Width, Width);
    }

    private sealed class Builder
    {
        private readonly Random _random = new(1);
        private readonly List<Node> _nodes = [];
        private readonly Dictionary<string, Tensor> _constants = new(StringComparer.Ordinal);

        public string Add(string op, params string[] inputs) => Add(op, AttributeMap.Empty, inputs);

        public string Turn(string x, params long[] order) => Add("Transpose", AttributeMap.Empty.With("perm", order.ToImmutableArray()), x);

        public string Split(string x) => Turn(Add("Reshape", x, List(0, 0, Heads, Width / Heads)), 0, 2, 1, 3);

        public string Number(float value) => Constant(Tensor.Scalar(value));

        public string List(params long[] values) => Constant(Tensor.Create(values, values.Length));

        public string Dense(string x, int inputs, int units) => Add("Add", Add("MatMul", x, Floats(MathF.Sqrt(3f / inputs), inputs, units)), Floats(0.1f, units));

        public string Normalize(string x) => Add("LayerNormalization", AttributeMap.Empty.With("axis", -1), x, Floats(1, Width), Floats(0.1f, Width));

        /// <summary>Batch first, all steps.</summary>
        public string Recurrent(string op, int inputs, int units)
        {
            int rows = (op == "LSTM" ? 4 : 3) * units;
            float span = 1 / MathF.Sqrt(units);
            var attributes = AttributeMap.Empty.With("hidden_size", units);
            if (op == "GRU") attributes = attributes.With("linear_before_reset", 1);
            string y = Add(op, attributes, Turn("input", 1, 0, 2), Floats(span, 1, rows, inputs), Floats(span, 1, rows, units), Floats(span, 1, 2 * rows));
            return Add("Reshape", Turn(y, 2, 0, 1, 3), List(0, 0, units));
        }

        public ModelGraph Build(string output, int steps, int inputs, int outputs) => new()
        {
            Name = "generated",
            Inputs = [new("input", ElementType.Float, new(new Dimension("N"), steps, inputs))],
            Outputs = [new(output, ElementType.Float, new(new Dimension("N"), steps, outputs))],
            Nodes = [.. _nodes],
            Initializers = _constants.ToImmutableDictionary(StringComparer.Ordinal),
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
        };

        private string Add(string op, AttributeMap attributes, params string[] inputs)
        {
            string name = FormattableString.Invariant($"{op}{_nodes.Count}");
            _nodes.Add(Node.Create(name, op, inputs, [name]) with { Attributes = attributes });
            return name;
        }

        private string Floats(float span, params int[] dims) => Constant(Tensor.Create([.. Enumerable.Range(0, dims.Aggregate(1, (a, b) => a * b)).Select(_ => ((_random.NextSingle() * 2) - 1) * span)], dims));

        private string Constant(Tensor value)
        {
            string name = FormattableString.Invariant($"constant{_constants.Count}");
            _constants[name] = value;
            return name;
        }
    }
}
