using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization;

public sealed partial class NetworkBuilder
{
    /// <summary>Starts with sequences: float32 [N, steps, features].</summary>
    /// <param name="features">Values of a step; 1 or more.</param>
    /// <param name="steps">Steps of every sequence, 1 or more; null: what the data has.</param>
    /// <param name="inputName">The input's name, and its column unless bound otherwise.</param>
    /// <param name="seed">Of the random weights: the same seed gives the same network everywhere.</param>
    public static NetworkBuilder Sequence(int features, int? steps = null, string inputName = "input", int seed = 1) =>
        new(inputName, ElementType.Float, AtLeastOne(features, nameof(features)), Steps(steps), seed);

    /// <summary>Starts with sequences of ids: int64 [N, steps]. <see cref="Embedding(int, int)"/> comes next.</summary>
    /// <param name="steps">Ids of every sequence, 1 or more; null: what the data has.</param>
    /// <param name="inputName">The input's name, and its column unless bound otherwise.</param>
    /// <param name="seed">Of the random weights: the same seed gives the same network everywhere.</param>
    public static NetworkBuilder Tokens(int? steps = null, string inputName = "input", int seed = 1) => new(inputName, ElementType.Int64, 0, Steps(steps), seed);

    /// <summary>Each id becomes its row of a table of random values, uniform within ±√(3 / columns).</summary>
    /// <param name="rows">Ids are 0 to rows - 1; an id outside is an error when it is scored.</param>
    /// <param name="columns">Values of a row; 1 or more.</param>
    /// <exception cref="InvalidOperationException">The layer below does not give ids.</exception>
    public NetworkBuilder Embedding(int rows, int columns)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        return Embedding(Uniform(checked(rows * columns), Math.Sqrt(3.0 / columns)), columns);
    }

    /// <summary>Each id becomes its row of a table.</summary>
    /// <param name="table">[rows, columns], row-major.</param>
    /// <param name="columns">Values of a row; 1 or more.</param>
    /// <exception cref="ArgumentException">The table is empty or no whole number of rows, or a value is NaN or infinite.</exception>
    /// <exception cref="InvalidOperationException">The layer below does not give ids.</exception>
    public NetworkBuilder Embedding(float[] table, int columns)
    {
        ArgumentNullException.ThrowIfNull(table);
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        if (_size != 0) throw new InvalidOperationException("Embedding needs ids: the network begins with NetworkBuilder.Tokens, and Embedding is its first layer.");
        if (table.Length == 0 || table.Length % columns != 0) throw new ArgumentException($"{table.Length} values do not make rows of {columns}.", nameof(table));
        RequireFinite(table, nameof(table));
        _constants["embedding_table"] = Tensor.Create(table, table.Length / columns, columns);
        _nodes.Add(Node.Create("embedding", "Gather", ["embedding_table", _value], ["embedding_output"]));
        _value = "embedding_output";
        _size = columns;
        return this;
    }

    /// <summary>A long short-term memory (Hochreiter and Schmidhuber, 1997) over the steps, the output of every one, with random weights, uniform within ±1 / √units.</summary>
    /// <param name="units">Hidden units; 1 or more.</param>
    /// <exception cref="InvalidOperationException">The layer below does not give sequences of numbers.</exception>
    public NetworkBuilder Lstm(int units) => Lstm(units, returnSequence: true, bidirectional: false);

    /// <summary>A long short-term memory (Hochreiter and Schmidhuber, 1997) with random weights, uniform within ±1 / √units.</summary>
    /// <param name="units">Hidden units; 1 or more. Of two directions each has so many.</param>
    /// <param name="returnSequence">True: the output of every step; false: of the last one, so that what follows works on vectors.</param>
    /// <param name="bidirectional">Also from the last step to the first, with weights of its own; outputs are concatenated.</param>
    /// <exception cref="InvalidOperationException">The layer below does not give sequences of numbers.</exception>
    public NetworkBuilder Lstm(int units, bool returnSequence, bool bidirectional) => Recurrent("LSTM", 4, units, returnSequence, bidirectional);

    /// <summary>A long short-term memory with given weights, as the ONNX standard's LSTM has them: gates in the order i, o, f, c.</summary>
    /// <param name="inputWeights">W [directions, 4 · units, inputs].</param>
    /// <param name="recurrentWeights">R [directions, 4 · units, units].</param>
    /// <param name="bias">B [directions, 8 · units]: that of W, then that of R.</param>
    /// <param name="returnSequence">True: the output of every step; false: of the last one.</param>
    /// <param name="bidirectional">Two directions.</param>
    /// <exception cref="ArgumentException">The sizes do not fit each other or the layer below, or a value is NaN or infinite.</exception>
    /// <exception cref="InvalidOperationException">The layer below does not give sequences of numbers.</exception>
    public NetworkBuilder Lstm(float[] inputWeights, float[] recurrentWeights, float[] bias, bool returnSequence, bool bidirectional) =>
        Recurrent("LSTM", 4, inputWeights, recurrentWeights, bias, returnSequence, bidirectional);

    /// <summary>
    /// A gated recurrent unit (Cho et al., 2014) whose reset gate acts behind the product, as in cuDNN and PyTorch; random weights, uniform
    /// within ±1 / √units.
    /// </summary>
    /// <param name="units">Hidden units; 1 or more.</param>
    /// <exception cref="InvalidOperationException">The layer below does not give sequences of numbers.</exception>
    public NetworkBuilder Gru(int units) => Gru(units, returnSequence: true, bidirectional: false);

    /// <summary>
    /// A gated recurrent unit (Cho et al., 2014) whose reset gate acts behind the product, as in cuDNN and PyTorch; random weights, uniform
    /// within ±1 / √units.
    /// </summary>
    /// <param name="units">Hidden units; 1 or more. Of two directions each has so many.</param>
    /// <param name="returnSequence">True: the output of every step; false: of the last one, so that what follows works on vectors.</param>
    /// <param name="bidirectional">Also from the last step to the first, with weights of its own; outputs are concatenated.</param>
    /// <exception cref="InvalidOperationException">The layer below does not give sequences of numbers.</exception>
    public NetworkBuilder Gru(int units, bool returnSequence, bool bidirectional) => Recurrent("GRU", 3, units, returnSequence, bidirectional);

    /// <summary>A gated recurrent unit with given weights, as the ONNX standard's GRU with linear_before_reset has them: gates in the order z, r, h.</summary>
    /// <param name="inputWeights">W [directions, 3 · units, inputs].</param>
    /// <param name="recurrentWeights">R [directions, 3 · units, units].</param>
    /// <param name="bias">B [directions, 6 · units]: that of W, then that of R.</param>
    /// <param name="returnSequence">True: the output of every step; false: of the last one.</param>
    /// <param name="bidirectional">Two directions.</param>
    /// <exception cref="ArgumentException">The sizes do not fit each other or the layer below, or a value is NaN or infinite.</exception>
    /// <exception cref="InvalidOperationException">The layer below does not give sequences of numbers.</exception>
    public NetworkBuilder Gru(float[] inputWeights, float[] recurrentWeights, float[] bias, bool returnSequence, bool bidirectional) =>
        Recurrent("GRU", 3, inputWeights, recurrentWeights, bias, returnSequence, bidirectional);

    /// <summary>
    /// A convolution over the steps, padded so that there are as many behind it. Random weights, uniform within ±√(6 / inputs of a sum) (He et
    /// al., "Delving Deep into Rectifiers", 2015); bias 0.
    /// </summary>
    /// <param name="filters">Values of a step behind it; 1 or more.</param>
    /// <param name="kernelSize">Steps of a window; 1 or more.</param>
    /// <exception cref="InvalidOperationException">The layer below does not give sequences of numbers.</exception>
    public NetworkBuilder Conv1D(int filters, int kernelSize)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(filters, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(kernelSize, 1);
        RequireSequence("Conv1D");
        int inputs = checked(_size * kernelSize);
        string name = $"conv{_nodes.Count(n => n.OpType == "Conv") + 1}";
        _constants[$"{name}_weights"] = Tensor.Create(Uniform(checked(filters * inputs), Math.Sqrt(6.0 / inputs)), filters, _size, kernelSize);
        _constants[$"{name}_bias"] = Tensor.Create(new float[filters], filters);
        var attributes = AttributeMap.Empty.With("kernel_shape", ImmutableArray.Create<long>(kernelSize)).With("auto_pad", "SAME_UPPER");
        // The standard's operator has the channels before the steps.
        Add("Transpose", $"{name}_steps_last", attributes: Permutation(0, 2, 1));
        Add("Conv", name, [$"{name}_weights", $"{name}_bias"], attributes);
        _size = filters;
        return Add("Transpose", $"{name}_steps_first", attributes: Permutation(0, 2, 1));
    }

    private void RequireSequence(string layer)
    {
        RequireNoImage(layer);
        if (_steps is null) throw new InvalidOperationException($"{layer} needs sequences: the network begins with NetworkBuilder.Sequence or Tokens, and the layers below keep the steps.");
    }

    private static Dimension Steps(int? steps) => steps is { } known ? AtLeastOne(known, nameof(steps)) : new Dimension("T");

    private NetworkBuilder Recurrent(string op, int gates, int units, bool returnSequence, bool bidirectional)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(units, 1);
        RequireNoImage(op);
        int rows = checked((bidirectional ? 2 : 1) * gates * units);
        double limit = 1 / Math.Sqrt(units);
        return Recurrent(op, gates, Uniform(checked(rows * _size), limit), Uniform(checked(rows * units), limit), Uniform(2 * rows, limit), returnSequence, bidirectional);
    }

    /// <summary>The standard's operator has the steps first: Transpose before and behind, which the engine takes in.</summary>
    private NetworkBuilder Recurrent(string op, int gates, float[] w, float[] r, float[] b, bool returnSequence, bool bidirectional)
    {
        ArgumentNullException.ThrowIfNull(w);
        ArgumentNullException.ThrowIfNull(r);
        ArgumentNullException.ThrowIfNull(b);
        RequireSequence(op);
        int directions = bidirectional ? 2 : 1, units = b.Length / (2 * gates * directions), rows = gates * units * directions;
        if (units == 0 || b.Length != 2 * rows) throw new ArgumentException($"{b.Length} biases are not {2 * gates * directions} for each unit.", nameof(b));
        if (w.LongLength != (long)rows * _size) throw new ArgumentException($"{w.Length} input weights do not fill [{directions}, {gates * units}, {_size}].", nameof(w));
        if (r.LongLength != (long)rows * units) throw new ArgumentException($"{r.Length} recurrent weights do not fill [{directions}, {gates * units}, {units}].", nameof(r));
        RequireFinite(w, nameof(w));
        RequireFinite(r, nameof(r));
        RequireFinite(b, nameof(b));

        string name = $"{op.ToLowerInvariant()}{_nodes.Count(n => n.OpType == op) + 1}";
        _constants[$"{name}_W"] = Tensor.Create(w, directions, gates * units, _size);
        _constants[$"{name}_R"] = Tensor.Create(r, directions, gates * units, units);
        _constants[$"{name}_B"] = Tensor.Create(b, directions, 2 * gates * units);
        _constants[$"{name}_shape"] = returnSequence ? Tensor.Create([0L, 0, directions * units], 3) : Tensor.Create([0L, directions * units], 2);
        Add("Transpose", $"{name}_steps_first", attributes: Permutation(1, 0, 2));
        var attributes = AttributeMap.Empty.With("hidden_size", units);
        if (bidirectional) attributes = attributes.With("direction", "bidirectional");
        if (op == "GRU") attributes = attributes.With("linear_before_reset", 1);
        string all = $"{name}_Y", last = $"{name}_Y_h";
        _nodes.Add(Node.Create(name, op, [_value, $"{name}_W", $"{name}_R", $"{name}_B"], returnSequence ? [all] : ["", last]) with { Attributes = attributes });
        _value = returnSequence ? all : last;
        Add("Transpose", $"{name}_batch_first", attributes: returnSequence ? Permutation(2, 0, 1, 3) : Permutation(1, 0, 2));
        Add("Reshape", $"{name}_joined", [$"{name}_shape"]);
        _size = directions * units;
        if (!returnSequence) _steps = null;
        return this;
    }

    private static AttributeMap Permutation(params ReadOnlySpan<long> order) => AttributeMap.Empty.With("perm", ImmutableArray.Create(order));
}
