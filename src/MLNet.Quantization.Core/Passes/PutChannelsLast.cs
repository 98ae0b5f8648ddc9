using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Ops.Quantized;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Lets tensors stay channels last between the engine's convolutions and pools. Lowering puts a Transpose before and after each of them
/// (<see cref="Surround"/>); here those behind sink through what works element by element, or along axes that can be renamed, until they
/// meet one before the next, where both fall away. The graph computes the same bits as before.
/// </summary>
internal static class PutChannelsLast
{
    /// <summary>Operators of one data input, element by element; what other inputs there are is one number.</summary>
    private static readonly ImmutableHashSet<string> Unary = ImmutableHashSet.Create(
        StringComparer.Ordinal, "Cast", "Celu", "Clip", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Mish", "Neg", "QuantizeLinear", "DequantizeLinear", "Reciprocal",
        "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Tanh", "ThresholdedRelu", "Abs");

    private static readonly ImmutableHashSet<string> Binary = ImmutableHashSet.Create(StringComparer.Ordinal, "Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "PRelu");

    /// <summary>Adds a node that works on channels last, between Transposes to and from it; its names stay those of channels first.</summary>
    /// <param name="patch">Where to.</param>
    /// <param name="node">Its input 0 and output 0 are named as channels first.</param>
    /// <param name="rank">Of both.</param>
    /// <param name="readsChannelsFirst">It reads its input as it is.</param>
    public static void Surround(GraphPatch patch, Node node, int rank, bool readsChannelsFirst = false)
    {
        string output = node.Outputs[0], last = patch.NewName($"{output}_channels_last");
        if (!readsChannelsFirst)
        {
            string input = patch.NewName($"{node.Inputs[0]}_channels_last");
            patch.Add(Transpose(patch, node.Inputs[0], input, ChannelsLast.PermutationToLast(rank)));
            node = node with { Inputs = node.Inputs.SetItem(0, input) };
        }
        patch.Add(node with { Outputs = [last] });
        patch.Add(Transpose(patch, last, output, ChannelsLast.PermutationToFirst(rank)));
    }

    public static ModelGraph Apply(ModelGraph graph)
    {
        // Transposes only sink, so this ends.
        while (true)
        {
            var sunk = Round(graph);
            if (ReferenceEquals(sunk, graph)) return graph;
            graph = RemoveDeadNodes.Apply(sunk);
        }
    }

    private static Node Transpose(GraphPatch patch, string input, string output, long[] order) =>
        Node.Create(patch.NewName($"{output}_Transpose"), "Transpose", [input], [output]) with { Attributes = AttributeMap.Empty.With("perm", ImmutableArray.Create(order)) };

    private static ModelGraph Round(ModelGraph graph)
    {
        var index = new GraphIndex(graph);
        var patch = new GraphPatch(graph);
        var touched = new HashSet<Node>(ReferenceEqualityComparer.Instance);
        foreach (var node in graph.Nodes)
        {
            var sources = node.Inputs.Select(i => BackToFirst(index, i)).ToList();
            if (!sources.Any(s => s is not null) || touched.Contains(node) || sources.Any(s => s is not null && touched.Contains(s))) continue;
            if (Rewritten(index, patch, node, sources) is not { } last) continue;
            patch.Remove(node);
            touched.Add(node);
            touched.UnionWith(node.Outputs.SelectMany(o => index.Consumers[o]));
            if (last.Inputs.Length == 0) continue;
            string output = node.Outputs[0], made = patch.NewName($"{output}_channels_last");
            patch.Add(last with { Outputs = [made] }).Add(Transpose(patch, made, output, ChannelsLast.PermutationToFirst(sources.OfType<Node>().First().Attributes.Get("perm", ImmutableArray<long>.Empty).Length)));
        }
        return patch.Apply();
    }

    /// <summary>The Transpose that makes the value by putting channels first, or null.</summary>
    private static Node? BackToFirst(GraphIndex index, string value) =>
        index.ProducerOf(value, "Transpose") is { } t && t.Attributes.Get("perm", ImmutableArray<long>.Empty) is { IsDefault: false, Length: > 2 } order
            && order.SequenceEqual(ChannelsLast.PermutationToFirst(order.Length)) ? t : null;

    /// <summary>The node on what the Transposes before it read; without inputs where it was a Transpose back, which falls away; null where it must stay.</summary>
    private static Node? Rewritten(GraphIndex index, GraphPatch patch, Node node, List<Node?> sources)
    {
        var first = sources.OfType<Node>().First();
        int rank = first.Attributes.Get("perm", ImmutableArray<long>.Empty).Length;
        if (node.Outputs.Length != 1) return null;
        if (node.OpType == "Transpose" && node.Domain.Length == 0) return Cancelled(index, patch, node, first, rank);
        if (IsUnary(index, node)) return sources[0] is null ? null : node with { Inputs = node.Inputs.SetItem(0, first.Inputs[0]) };
        if (node.Domain.Length == 0 && node.OpType == "Concat")
        {
            if (sources.Contains(null)) return null;
            long axis = node.Attributes.Get("axis", 0L);
            long moved = Array.IndexOf(ChannelsLast.PermutationToLast(rank), axis < 0 ? axis + rank : axis);
            return node with { Inputs = [.. sources.Select(s => s!.Inputs[0])], Attributes = node.Attributes.With("axis", moved) };
        }
        if (node is { Domain: "", OpType: "MaxPool" }) return sources[0] is null ? null : node with { Inputs = [first.Inputs[0]], OpType = nameof(FloatMaxPool), Domain = OperatorSet.EngineDomain };
        if (node is { Domain: "", OpType: "Pad" }) return sources[0] is null ? null : PadLast(index, patch, node, first.Inputs[0], rank);
        if (node is { Domain: "", OpType: "Resize" } or { OpType: nameof(QuantizedResize) }) return sources[0] is null ? null : ResizeLast(index, patch, node, first.Inputs[0], rank);
        if (!(node.Domain.Length == 0 ? Binary.Contains(node.OpType) : node.OpType == nameof(QuantizedArithmetic))) return null;
        var inputs = new string[node.Inputs.Length];
        for (int i = 0; i < inputs.Length; i++)
        {
            if (sources[i] is { } source && source.Attributes.Get("perm", ImmutableArray<long>.Empty).Length == rank) inputs[i] = source.Inputs[0];
            else if (index.Constant(node.Inputs[i]) is { } constant && constant.Rank <= rank) inputs[i] = ConstantLast(patch, node.Inputs[i], constant, rank);
            else return null;
        }
        return node with { Inputs = [.. inputs] };
    }

    private static Node? Cancelled(GraphIndex index, GraphPatch patch, Node node, Node first, int rank)
    {
        if (!node.Attributes.Get("perm", ImmutableArray<long>.Empty).SequenceEqual(ChannelsLast.PermutationToLast(rank)) || index.Graph.IsOutput(node.Outputs[0])) return null;
        patch.RenameUses(node.Outputs[0], first.Inputs[0]);
        return node with { Inputs = [] };
    }

    private static bool IsUnary(GraphIndex index, Node node)
    {
        if (node.Domain.Length > 0) return node.OpType == nameof(CodeTable);
        if (!Unary.Contains(node.OpType)) return false;
        return node.OpType is not ("QuantizeLinear" or "DequantizeLinear") || QuantizedValue.PerTensor(index, node) is not null;
    }

    /// <summary>Pads of the axes where these then are. Null where they are attributes, before operator set 11.</summary>
    private static Node? PadLast(GraphIndex index, GraphPatch patch, Node pad, string input, int rank)
    {
        if (pad.Inputs.Length < 2) return null;
        pad = pad with { Inputs = pad.Inputs.SetItem(0, input) };
        if (pad.Input(3) is not { } axes) return pad with { Inputs = pad.Inputs.SetItem(1, Reordered(patch, pad.Inputs[1], rank, 2)) };
        if (index.Constant(axes) is not { } named) return null;
        long[] moved = Moved(named.ToInt64s(), rank);
        string name = patch.NewName($"{axes}_channels_last");
        patch.SetInitializer(name, Tensor.Create(moved, moved.Length));
        return pad with { Inputs = pad.Inputs.SetItem(3, name) };
    }

    /// <summary>Region, scales and sizes go by axis: where the node names its axes, the names change, else the lists.</summary>
    private static Node? ResizeLast(GraphIndex index, GraphPatch patch, Node resize, string input, int rank)
    {
        if (index.Graph.Opset < 11) return null;
        resize = resize with { Inputs = resize.Inputs.SetItem(0, input) };
        var axes = resize.Attributes.Get("axes", ImmutableArray<long>.Empty);
        if (!axes.IsEmpty) return resize with { Attributes = resize.Attributes.With("axes", Moved([.. axes], rank).ToImmutableArray()) };
        for (int i = 1; i < resize.Inputs.Length; i++)
            if (resize.Input(i) is { } list && index.Constant(list) is not { Count: 0 })
                resize = resize with { Inputs = resize.Inputs.SetItem(i, Reordered(patch, list, rank, i == 1 ? 2 : 1)) };
        return resize;
    }

    private static long[] Moved(long[] axes, int rank) => Array.ConvertAll(axes, a => (long)Array.IndexOf(ChannelsLast.PermutationToLast(rank), a < 0 ? a + rank : a));

    /// <summary>A list of so many numbers an axis, those of all axes one after another. Computed: shapes may say it only later, and constants are folded.</summary>
    private static string Reordered(GraphPatch patch, string list, int rank, int times)
    {
        long[] order = [.. Enumerable.Range(0, times).SelectMany(t => ChannelsLast.PermutationToLast(rank).Select(o => o + (t * rank)))];
        string indices = patch.NewName($"{list}_order"), reordered = patch.NewName($"{list}_channels_last");
        patch.SetInitializer(indices, Tensor.Create(order, order.Length));
        patch.Add(Node.Create(patch.NewName($"{reordered}_Gather"), "Gather", [list, indices], [reordered]));
        return reordered;
    }

    /// <summary>A constant that broadcasts to channels first, broadcasting to channels last.</summary>
    private static string ConstantLast(GraphPatch patch, string name, Tensor value, int rank)
    {
        if (value.Count == 1) return name;
        int[] dims = [.. Enumerable.Repeat(1, rank - value.Rank), .. value.Dims];
        var order = Array.ConvertAll(ChannelsLast.PermutationToLast(rank), p => (int)p);
        var bytes = new byte[value.Bytes.Length];
        StridedCopy.Permute(dims, order, value.Type.SizeOf()).Run(value.Bytes.Span, bytes, maxThreads: 1);
        string moved = patch.NewName($"{name}_channels_last");
        patch.SetInitializer(moved, new Tensor(value.Type, [.. order.Select(o => dims[o])], bytes));
        return moved;
    }
}
