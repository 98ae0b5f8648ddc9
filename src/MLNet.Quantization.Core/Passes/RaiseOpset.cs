using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Rewrites a model of operator set 7 to 12 as one of 13, the first whose DequantizeLinear has a scale for each channel. What became an
/// input in between is moved there; Softmax and LogSoftmax, which before 13 took all axes from theirs on as one, get that written out.
/// Subgraphs are rewritten too.
/// </summary>
/// <remarks>Version history of each operator: https://github.com/onnx/onnx/blob/main/docs/Changelog.md.</remarks>
internal sealed class RaiseOpset
{
    public const int Target = 13;

    /// <summary>The file format that goes with <see cref="Target"/>.</summary>
    private const int TargetIrVersion = 7;

    /// <summary>Operators that mean the same, written the same, in all versions from 7 to 13.</summary>
    private static readonly ImmutableHashSet<string> Unchanged = ImmutableHashSet.Create(
        StringComparer.Ordinal,
        "Abs", "Add", "And", "ArgMax", "ArgMin", "AveragePool", "Cast", "Ceil", "Concat", "Constant", "ConstantOfShape", "Conv", "ConvInteger", "ConvTranspose", "DepthToSpace", "DequantizeLinear",
        "Div", "DynamicQuantizeLinear", "Elu", "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor", "GRU", "Gather", "Gemm", "GlobalAveragePool", "GlobalMaxPool",
        "Greater", "HardSigmoid", "Identity", "If", "InstanceNormalization", "LRN", "LSTM", "LeakyRelu", "Less", "Log", "Loop", "MatMul", "MatMulInteger", "Max", "MaxPool", "MaxUnpool", "Mean", "Min", "Mul", "Neg", "NonMaxSuppression", "Not",
        "Or", "PRelu", "Pow", "QLinearConv", "QLinearMatMul", "QuantizeLinear", "Reciprocal", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSumSquare",
        "Relu", "Reshape", "Selu", "Shape", "Sigmoid", "Sign", "Size", "Softplus", "Softsign", "SpaceToDepth", "Sqrt", "Sub", "Sum", "Tanh", "Tile", "Transpose", "Where");

    private readonly int _from;
    private readonly HashSet<string> _names;
    private readonly IReadOnlyDictionary<string, ValueFact> _facts;

    private RaiseOpset(ModelGraph graph, IReadOnlyDictionary<string, ValueFact> facts)
    {
        _from = graph.Opset;
        _names = new(graph.AllValueNamesWithin(), StringComparer.Ordinal);
        _facts = facts;
    }

    /// <param name="graph">In topological order; one of operator set 13 or later is returned as it is.</param>
    /// <param name="facts">What is known of its values. Ranks make the result shorter, without them it is right too.</param>
    /// <exception cref="UnsupportedOperatorException">What a node becomes in operator set 13 is not known here.</exception>
    public static ModelGraph Apply(ModelGraph graph, IReadOnlyDictionary<string, ValueFact> facts)
    {
        if (graph.Opset >= Target) return graph;
        var raised = new RaiseOpset(graph, facts).Raise(graph);
        return GraphOrder.Verify(raised with
        {
            OpsetImports = raised.OpsetImports.SetItem("", Target),
            Metadata = raised.Metadata with { IrVersion = Math.Max(raised.Metadata.IrVersion, TargetIrVersion) },
            ValueInfos = [],
        });
    }

    private ModelGraph Raise(ModelGraph graph)
    {
        var added = graph.Initializers.ToBuilder();
        return graph with { Nodes = [.. graph.Nodes.SelectMany(n => Raise(WithRaisedBodies(n), added))], Initializers = added.ToImmutable() };
    }

    private Node WithRaisedBodies(Node node)
    {
        var attributes = node.Attributes;
        foreach (var (name, value) in node.Attributes)
            if (value is ModelGraph body) attributes = attributes.With(name, Raise(body));
        return ReferenceEquals(attributes, node.Attributes) ? node : node with { Attributes = attributes };
    }

    private Node[] Raise(Node node, ImmutableDictionary<string, Tensor>.Builder constants)
    {
        if (node.Domain.Length > 0 && node.Domain != "ai.onnx") return [node];
        switch (node.OpType)
        {
            case "Clip" when _from < 11:
                return [Moved(node, constants, ("min", Tensor.Scalar(node.Attributes.Get("min", float.MinValue))), ("max", Tensor.Scalar(node.Attributes.Get("max", float.MaxValue))))];
            case "Dropout" when _from < 12 && (_from >= 10 || node.Outputs.Length < 2 || node.Outputs[1].Length == 0): // the mask was a float before 10
                return [Moved(node, constants, ("ratio", Tensor.Scalar(node.Attributes.Get("ratio", 0.5f))))];
            case "Slice" when _from < 10:
                return [Moved(node, constants, ("starts", List(node, "starts")), ("ends", List(node, "ends")), ("axes", List(node, "axes")))];
            case "Squeeze" or "Unsqueeze" or "ReduceSum":
                return [Moved(node, constants, ("axes", List(node, "axes")))];
            case "Split":
                return [Moved(node, constants, ("split", List(node, "split")))];
            case "Pad" when _from < 11:
                return [Moved(node, constants, ("pads", List(node, "pads")), ("value", Tensor.Scalar(node.Attributes.Get("value", 0f))))];
            case "Resize" or "Upsample" when _from < 11 && AsResize(node, constants) is { } resize:
                return [resize];
            case "Softmax" or "LogSoftmax":
                return OverAllAxesFrom(node);
            case "BatchNormalization" when _from >= 9 || node.Attributes.Get("spatial", 1L) == 1:
                return [node with { Attributes = node.Attributes.Without("spatial") }];
            case "Clip" or "Dropout" or "Slice" or "Pad" or "Resize" or "Scan" when Raises(node.OpType):
                return [node];
            default:
                return Unchanged.Contains(node.OpType) ? [node]
                    : throw new UnsupportedOperatorException(
                        FormattableString.Invariant($"The model has opset {_from}; INT8 weights by channel need {Target}, in which node '{node.DisplayName}' ({node.OpType}) may mean something else."),
                        node.DisplayName, node.OpType);
        }
    }

    /// <summary>True where the operator has its form of 13 already in the model's version.</summary>
    private bool Raises(string opType) => _from >= (opType switch { "Clip" or "Pad" or "Resize" => 11, "Dropout" => 12, "Scan" => 9, _ => 10 });

    private static Tensor? List(Node node, string attribute)
    {
        var list = node.Attributes.Get(attribute, default(ImmutableArray<long>));
        return list.IsDefault ? null : Tensor.Create(list.AsSpan(), list.Length);
    }

    /// <summary>The node with attributes turned into constant inputs behind its first one; null: the input is omitted.</summary>
    private Node Moved(Node node, ImmutableDictionary<string, Tensor>.Builder constants, params ReadOnlySpan<(string Attribute, Tensor? Value)> moved)
    {
        var inputs = new List<string> { node.Inputs[0] };
        var attributes = node.Attributes;
        foreach (var (attribute, value) in moved)
        {
            attributes = attributes.Without(attribute);
            inputs.Add(value is null ? "" : NewName($"{node.DisplayName}_{attribute}"));
            if (value is not null) constants[inputs[^1]] = value;
        }
        while (inputs[^1].Length == 0) inputs.RemoveAt(inputs.Count - 1);
        return node with { Inputs = [.. inputs], Attributes = attributes };
    }

    /// <summary>
    /// Before 11 places are found by dividing, and the nearest element is the one below; null where an axis shrinks, for which it was the one
    /// above, or where scales are computed.
    /// </summary>
    private Node? AsResize(Node node, ImmutableDictionary<string, Tensor>.Builder constants)
    {
        float[] scales = _from < 9 ? [.. node.Attributes.Get("scales", ImmutableArray<float>.Empty)]
            : node.Input(1) is { } name && constants.TryGetValue(name, out var given) && given.Type == ElementType.Float ? given.Span<float>().ToArray() : [];
        string mode = node.Attributes.Get("mode", "nearest");
        if (scales.Length == 0 || mode == "nearest" && scales.Any(s => s < 1)) return null;
        string moved = NewName($"{node.DisplayName}_scales");
        constants[moved] = Tensor.Create(scales, scales.Length);
        return node with
        {
            OpType = "Resize",
            Inputs = [node.Inputs[0], "", moved],
            Attributes = AttributeMap.Empty.With("mode", mode).With("coordinate_transformation_mode", "asymmetric").With("nearest_mode", "floor"),
        };
    }

    /// <summary>Where the axis is not the last: Flatten there, the function over the last axis, and the shape of before.</summary>
    private Node[] OverAllAxesFrom(Node node)
    {
        long axis = node.Attributes.Get("axis", 1L);
        var last = node with { Attributes = node.Attributes.With("axis", -1L) };
        int? rank = axis < 0 ? null : _facts.GetValueOrDefault(node.Inputs[0])?.Shape?.Rank;
        if (axis == -1 || axis + 1 == rank) return [last];
        string stem = node.DisplayName, flat = NewName($"{stem}_flat"), function = NewName($"{stem}_of_flat"), shape = NewName($"{stem}_shape");
        return
        [
            Node.Create(flat, "Flatten", [node.Inputs[0]], [flat]) with { Attributes = AttributeMap.Empty.With("axis", axis) },
            last with { Inputs = [flat], Outputs = [function] },
            Node.Create(shape, "Shape", [node.Inputs[0]], [shape]),
            Node.Create($"{function}_reshaped", "Reshape", [function, shape], [node.Outputs[0]]),
        ];
    }

    private string NewName(string stem)
    {
        string name = stem;
        for (int i = 1; !_names.Add(name); i++) name = FormattableString.Invariant($"{stem}_{i}");
        return name;
    }
}
