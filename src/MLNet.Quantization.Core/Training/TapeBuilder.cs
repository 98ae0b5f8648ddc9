using System.Numerics;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Training;

/// <summary>Lays a <see cref="TrainingGraph"/> out for given input shapes.</summary>
internal sealed class TapeBuilder<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly TrainingGraph _graph;
    private readonly TapeMemory _memory;
    private readonly Dictionary<string, ValueFact> _facts = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Values<T>> _reals = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Values<long>> _integers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Values<T>> _gradients = new(StringComparer.Ordinal);
    private readonly List<TapeEntry<T>> _entries = [];

    private TapeBuilder(TrainingGraph graph, TapeMemory memory)
    {
        _graph = graph;
        _memory = memory;
    }

    /// <param name="graph">What is trained.</param>
    /// <param name="parameters">Value and gradient by name; the gradient null for statistics.</param>
    /// <param name="inputDims">Shape of each graph input.</param>
    /// <param name="memory">May be shared by tapes of one thread.</param>
    /// <exception cref="QuantizationException">The shapes do not fit the model, or a shape depends on data.</exception>
    public static Tape<T> Build(TrainingGraph graph, Func<string, (Values<T> Value, Values<T>? Gradient)> parameters, IReadOnlyList<int[]> inputDims, TapeMemory memory)
    {
        var builder = new TapeBuilder<T>(graph, memory);
        var model = graph.Graph;
        var names = graph.Parameters.Select(p => p.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var (name, value) in model.Initializers) builder._facts[name] = names.Contains(name) ? new(value.Type, value.Shape) : ValueFact.Of(value);
        foreach (string name in names)
        {
            (builder._reals[name], var gradient) = parameters(name);
            if (gradient is not null) builder._gradients[name] = gradient;
        }
        for (int i = 0; i < model.Inputs.Length; i++) builder.Declare(model.Inputs[i].Name, new(model.Inputs[i].Type, TensorShape.FromDims(inputDims[i])));
        builder.AddAll([.. model.Nodes.Where(graph.Leads)]);
        return builder.Finish([.. model.Inputs.Select(i => i.Name)], graph.Output);
    }

    private void Declare(string name, ValueFact fact)
    {
        _facts[name] = fact;
        if (fact.Shape is not { IsKnown: true } shape) throw new ModelFormatException($"The shape of '{name}' depends on data, which training cannot lay out.", null, name);
        if (fact.Type == ElementType.Float) _reals[name] = new(shape.ToInts());
        else _integers[name] = new(shape.ToInts());
    }

    private void AddAll(Node[] nodes)
    {
        var readers = nodes.SelectMany(n => n.Inputs.Concat(n.Captures()).Distinct().Select(i => (Value: i, Node: n))).ToLookup(r => r.Value, r => r.Node);
        var joined = new HashSet<Node>(ReferenceEqualityComparer.Instance);
        foreach (var node in nodes)
        {
            if (joined.Contains(node)) continue;
            if (Behind(node, "BatchNormalization", "Relu", readers) is not { } relu)
            {
                Add(node);
                continue;
            }
            var pool = Behind(relu, "Relu", "MaxPool", readers) is { } last && last.Outputs.Length == 1 ? last : null;
            AddNormalized(node, relu, pool);
            joined.Add(relu);
            if (pool is not null) joined.Add(pool);
        }
    }

    /// <summary>The only reader of the only output of a node, where both are of given types; else null.</summary>
    private Node? Behind(Node node, string type, string next, ILookup<string, Node> readers) =>
        _graph.OperatorOf(node) is Operator { Domain: "" } && node.OpType == type && node.Outputs.Length == 1 && node.Outputs[0] != _graph.Output
        && readers[node.Outputs[0]].ToArray() is [var reader] && reader.OpType == next && _graph.OperatorOf(reader) is Operator { Domain: "" } ? reader : null;

    /// <summary>Adds three nodes, or two, as one: <see cref="NormalizedRelu"/>.</summary>
    private void AddNormalized(Node node, Node relu, Node? pool)
    {
        int opset = _graph.Graph.Opset;
        foreach (var part in pool is null ? [node, relu] : new[] { node, relu, pool }) GraphInference.InferNode(part, opset, _facts);
        OpContext ContextOf(Node part) => new(part, opset, GraphInference.InputFacts(part, _facts));
        string output = (pool ?? relu).Outputs[0];
        Declare(output, _facts[output]);
        AddDifferentiable(new NormalizedRelu(pool is null ? null : ContextOf(pool)), node with { Outputs = [output] }, ContextOf(node));
    }

    private void Add(Node node)
    {
        // What nothing reads need not be computed.
        node = node with { Outputs = [.. node.Outputs.Select(o => _graph.Leads(o) ? o : "")] };
        var op = _graph.OperatorOf(node);
        int opset = _graph.Graph.Opset;
        if (op is null || OperatorSet.Supports(node)) GraphInference.InferNode(node, opset, _facts);
        var context = new OpContext(node, opset, GraphInference.InputFacts(node, _facts));
        if (op is not null && !OperatorSet.Supports(node))
        {
            var facts = op.Infer(context);
            for (int i = 0; i < node.Outputs.Length; i++)
                if (node.Outputs[i].Length > 0) _facts[node.Outputs[i]] = facts[i];
        }
        string[] outputs = [.. node.Outputs.Where(o => o.Length > 0)];
        // What shapes decide is a constant by now.
        if (outputs.All(o => _facts[o].Value is not null)) return;
        foreach (string output in outputs) Declare(output, _facts[output]);
        bool isReal = outputs.All(_reals.ContainsKey);
        if (!isReal && outputs.Any(_reals.ContainsKey) && node.Inputs.Any(_graph.Moves)) throw context.Unsupported("its integers lead to the output beside its numbers, which have a gradient alone");
        if (op is null || !isReal) AddEvaluated(node, context);
        else AddDifferentiable(op, node, context);
    }

    private void AddDifferentiable(IDifferentiable op, Node node, OpContext context)
    {
        var inputs = new Values<T>?[node.Inputs.Length];
        for (int i = 0; i < inputs.Length; i++) inputs[i] = node.Input(i) is { } name ? RealOf(name) : null;
        var entry = new DifferentiableEntry<T>(op, new(context, inputs, [.. node.Outputs.Select(o => o.Length > 0 ? _reals[o] : null)], _memory));
        for (int i = 0; i < inputs.Length; i++) entry.Node.Integers[i] = node.Input(i) is { } name ? _integers.GetValueOrDefault(name) : null;
        _entries.Add(entry);
    }

    /// <summary>A value of real numbers; constants become one when first read.</summary>
    private Values<T>? RealOf(string name)
    {
        if (_reals.TryGetValue(name, out var known)) return known;
        if (_facts[name].Value is not { Type: ElementType.Float } constant) return null;
        return _reals[name] = new(constant.Dims, Array.ConvertAll(constant.Span<float>().ToArray(), T.CreateChecked));
    }

    private void AddEvaluated(Node node, OpContext context)
    {
        if (node.Captures().Any()) throw context.Unsupported("a subgraph cannot stand in what is trained");
        Func<Tensor?>[] inputs = [.. node.Inputs.Select((name, i) => name.Length == 0 ? () => null : Reader(name, context.Inputs[i]!))];
        Action<Tensor>?[] outputs = [.. node.Outputs.Select(name => name.Length == 0 ? null : Writer(name))];
        _entries.Add(new EvaluatedEntry<T>(node, _graph.Graph.Opset, inputs, outputs));
    }

    private Func<Tensor?> Reader(string name, ValueFact fact)
    {
        if (fact.Value is { } constant) return () => constant;
        if (_reals.TryGetValue(name, out var reals)) return () => Tensor.Create(Array.ConvertAll(reals.Data, float.CreateTruncating), reals.Dims);
        var integers = _integers[name];
        return fact.Type switch
        {
            ElementType.Int64 => () => Tensor.Create(integers.Data, integers.Dims),
            ElementType.Int32 => () => Tensor.Create(Array.ConvertAll(integers.Data, v => (int)v), integers.Dims),
            ElementType.Bool => () => Tensor.Create(Array.ConvertAll(integers.Data, v => v != 0), integers.Dims),
            _ => throw new UnsupportedOperatorException($"Tensor '{name}' is {fact.Type}; what is trained computes with Float, Int64, Int32 and Bool.", name, "", ""),
        };
    }

    private Action<Tensor> Writer(string name)
    {
        if (_reals.TryGetValue(name, out var reals)) return t => Array.ConvertAll(t.Span<float>().ToArray(), T.CreateChecked).CopyTo(reals.Data, 0);
        var integers = _integers[name];
        return t => t.ToInt64s().CopyTo(integers.Data, 0);
    }

    /// <summary>
    /// Gives gradients to what flows back, from the output on: a gradient lives from the last reader of its value, which is the first to add
    /// to it, to the node that makes the value.
    /// </summary>
    private Tape<T> Finish(string[] inputs, string output)
    {
        var free = new Dictionary<int, Stack<T[]>>();
        var names = _reals.GroupBy(v => v.Value).ToDictionary(g => g.Key, g => g.First().Key);
        var outputGradient = _gradients[output] = new(_reals[output].Dims);
        foreach (var entry in Enumerable.Reverse(_entries).OfType<DifferentiableEntry<T>>())
        {
            var node = entry.Node;
            for (int i = 0; i < node.Outputs.Length; i++) node.OutputGradients[i] = node.Outputs[i] is { } y ? _gradients.GetValueOrDefault(names[y]) : null;
            if (node.OutputGradients.All(g => g is null)) continue;
            entry.GoesBack = true;
            for (int i = 0; i < node.Inputs.Length; i++)
            {
                if (node.Inputs[i] is not { } x || !_graph.Moves(names[x])) continue;
                if (!_gradients.TryGetValue(names[x], out var gradient))
                {
                    _gradients[names[x]] = gradient = Values<T>.Over(x.Dims, free.GetValueOrDefault(x.Count) is { Count: > 0 } stack ? stack.Pop() : new T[x.Count]);
                    if (i == 0 && entry.Operator.Overwrites && node.Inputs.Count(other => ReferenceEquals(other, x)) == 1) node.IsFresh = true;
                    else entry.ToClear.Add(gradient);
                }
                node.InputGradients[i] = gradient;
            }
            foreach (var done in node.OutputGradients)
            {
                if (done is null || ReferenceEquals(done, outputGradient)) continue;
                if (!free.TryGetValue(done.Count, out var stack)) free[done.Count] = stack = new();
                stack.Push(done.Data);
            }
        }
        return new(_entries, _reals, _integers, inputs, output, outputGradient);
    }
}
