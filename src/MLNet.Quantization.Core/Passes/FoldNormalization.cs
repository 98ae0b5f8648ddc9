using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Takes what scales and shifts each channel by constants into the layer beside it: BatchNormalization, and Mul, Div, Add, Sub with a
/// constant by channel, right behind a Conv or Gemm with constant weights; BatchNormalization right before a Conv without padding (where it
/// pads, zeros would have to become other numbers) or before a Gemm. Worked out in double, stored as float32.
/// </summary>
internal static class FoldNormalization
{
    public static ModelGraph Apply(ModelGraph graph)
    {
        // A fold can make room for the next: Conv, Mul, Add.
        while (true)
        {
            var folded = Round(graph);
            if (ReferenceEquals(folded, graph)) return graph;
            graph = folded;
        }
    }

    private static ModelGraph Round(ModelGraph graph)
    {
        var index = new GraphIndex(graph);
        var patch = new GraphPatch(graph);
        var touched = new HashSet<Node>(ReferenceEqualityComparer.Instance);
        foreach (var node in graph.Nodes)
        {
            if (touched.Contains(node) || Layer.Match(index, node) is not { } layer) continue;
            if (index.OnlyConsumerOf(node.Outputs[0]) is { } next && !touched.Contains(next) && AffineOf(index, next, node.Outputs[0], layer.Outputs, layer.ChannelAxisFromEnd) is { } after)
            {
                patch.Remove(next).Replace(node, layer.Behind(patch, after, next.Outputs[0]));
                touched.Add(next);
            }
            else if (index.Producers.GetValueOrDefault(node.Inputs[0]) is { OpType: "BatchNormalization" } before && !touched.Contains(before) && index.OnlyConsumerOf(before.Outputs[0]) is not null
                && layer.ReadsNoPadding && AffineOf(index, before, before.Inputs[0], layer.Inputs, layer.ChannelAxisFromEnd) is { } first)
            {
                patch.Remove(before).Replace(node, layer.Before(patch, first, before.Inputs[0]));
                touched.Add(before);
            }
        }
        return patch.Apply();
    }

    /// <summary>y = Scale[c] · x + Shift[c].</summary>
    private sealed record Affine(double[] Scale, double[] Shift);

    /// <summary>The node as a function of its value <paramref name="data"/> by channel, or null.</summary>
    private static Affine? AffineOf(GraphIndex index, Node node, string data, int channels, int axisFromEnd)
    {
        if (node.Domain.Length > 0 || node.Outputs.Count(o => o.Length > 0) != 1 || index.Graph.IsOutput(data)) return null;
        if (node.OpType == "BatchNormalization") return node.Inputs[0] == data ? Normalization(index, node, channels) : null;
        if (node.OpType is not ("Mul" or "Div" or "Add" or "Sub")) return null;
        int side = node.Inputs[0] == data ? 0 : 1;
        if (side == 1 && (node.OpType is "Div" or "Sub")) return null;
        if (ByChannel(index.Constant(node.Inputs[1 - side]), channels, axisFromEnd) is not { } c) return null;
        double[] ones = [.. Enumerable.Repeat(1d, channels)], zeros = new double[channels];
        return node.OpType switch
        {
            "Mul" => new(c, zeros),
            "Div" => new(Array.ConvertAll(c, x => 1 / x), zeros),
            "Add" => new(ones, c),
            _ => new(ones, Array.ConvertAll(c, x => -x)),
        };
    }

    private static Affine? Normalization(GraphIndex index, Node node, int channels)
    {
        if (node.Attributes.Get("training_mode", 0L) != 0) return null;
        var parts = Enumerable.Range(1, 4).Select(i => index.Constant(node.Input(i))).ToArray();
        if (parts.Any(p => p is not { Type: ElementType.Float, Rank: 1 } || p.Count != channels)) return null;
        float[][] v = Array.ConvertAll(parts, p => p!.Span<float>().ToArray());
        double epsilon = node.Attributes.Get("epsilon", 1e-5f);
        double[] scale = [.. Enumerable.Range(0, channels).Select(c => v[0][c] / Math.Sqrt(v[3][c] + epsilon))];
        return new(scale, [.. Enumerable.Range(0, channels).Select(c => v[1][c] - (v[2][c] * scale[c]))]);
    }

    /// <summary>A constant that broadcasts along channels alone, or one number for all.</summary>
    private static double[]? ByChannel(Tensor? value, int channels, int axisFromEnd)
    {
        if (value is not { Type: ElementType.Float }) return null;
        var values = value.Span<float>();
        if (value.Count == 1 && value.Rank <= axisFromEnd) return [.. Enumerable.Repeat((double)values[0], channels)];
        int axis = value.Rank - axisFromEnd;
        return axis >= 0 && value.Count == channels && value.Dims[axis] == channels ? Array.ConvertAll(values.ToArray(), x => (double)x) : null;
    }

    /// <param name="Node">Conv or Gemm.</param>
    /// <param name="Weights">Conv [F, C / group, ...]; Gemm [K, N], or [N, K] where <paramref name="OutputsFirst"/>.</param>
    /// <param name="OutputsFirst">One output's weights lie together.</param>
    /// <param name="Bias">As many as outputs.</param>
    private sealed record Layer(Node Node, Tensor Weights, bool OutputsFirst, double[] Bias)
    {
        private bool IsConv => Node.OpType == "Conv";

        private int Groups => IsConv ? (int)Node.Attributes.Get("group", 1L) : 1;

        public int Outputs => Weights.Dims[OutputsFirst ? 0 : 1];

        public int Inputs => IsConv ? Weights.Dims[1] * Groups : Weights.Dims[OutputsFirst ? 1 : 0];

        /// <summary>Where the channels of an activation are: the last axis is 1.</summary>
        public int ChannelAxisFromEnd => IsConv ? Weights.Rank - 1 : 1;

        public bool ReadsNoPadding =>
            !IsConv || Node.Attributes.Get("auto_pad", "NOTSET") is "NOTSET" or "VALID" && Node.Attributes.Get("pads", ImmutableArray<long>.Empty) is var p && (p.IsDefaultOrEmpty || p.All(x => x == 0));

        public static Layer? Match(GraphIndex index, Node node)
        {
            if (node is not { Domain: "", OpType: "Conv" or "Gemm" }) return null;
            bool gemm = node.OpType == "Gemm";
            if (gemm && (node.Attributes.Get("alpha", 1f) != 1 || node.Attributes.Get("beta", 1f) != 1 || node.Attributes.Get("transA", 0L) != 0)) return null;
            if (index.Constant(node.Inputs[1]) is not { Type: ElementType.Float } w || (gemm ? w.Rank != 2 : w.Rank < 3)) return null;
            bool first = !gemm || node.Attributes.Get("transB", 0L) != 0;
            int outputs = w.Dims[first ? 0 : 1];
            var bias = new double[outputs];
            if (node.Input(2) is { } name)
            {
                if (index.Constant(name) is not { Type: ElementType.Float } b || b.Count != outputs && b.Count != 1) return null;
                for (int j = 0; j < outputs; j++) bias[j] = b.Span<float>()[b.Count == 1 ? 0 : j];
            }
            return new(node, w, first, bias);
        }

        /// <summary>The layer with what comes behind it.</summary>
        public Node Behind(GraphPatch patch, Affine affine, string output)
        {
            var bias = new double[Outputs];
            for (int j = 0; j < bias.Length; j++) bias[j] = (Bias[j] * affine.Scale[j]) + affine.Shift[j];
            return With(patch, (o, _) => affine.Scale[o], bias, Node.Inputs[0], output);
        }

        /// <summary>The layer with what comes before it.</summary>
        public Node Before(GraphPatch patch, Affine affine, string input)
        {
            double[] bias = [.. Bias];
            var w = Weights.Span<float>();
            for (int i = 0; i < w.Length; i++)
            {
                var (o, c) = PlaceOf(i);
                bias[o] += w[i] * affine.Shift[c];
            }
            return With(patch, (_, c) => affine.Scale[c], bias, input, Node.Outputs[0]);
        }

        private Node With(GraphPatch patch, Func<int, int, double> factor, double[] bias, string input, string output)
        {
            var w = Weights.Span<float>();
            var scaled = new float[w.Length];
            for (int i = 0; i < scaled.Length; i++)
            {
                var (o, c) = PlaceOf(i);
                scaled[i] = (float)(w[i] * factor(o, c));
            }
            string weightsName = patch.NewName($"{Node.Inputs[1]}_folded"), biasName = patch.NewName($"{Node.DisplayName}_bias_folded");
            patch.SetInitializer(weightsName, Tensor.Create(scaled, Weights.Dims)).SetInitializer(biasName, Tensor.Create(Array.ConvertAll(bias, b => (float)b), bias.Length));
            return Node with { Inputs = [input, weightsName, biasName], Outputs = [output] };
        }

        /// <summary>Output and input channel of a weight.</summary>
        private (int Output, int Input) PlaceOf(int weight)
        {
            if (!OutputsFirst) return (weight % Weights.Dims[1], weight / Weights.Dims[1]);
            int each = Weights.Count / Outputs, output = weight / each, within = weight % each;
            int first = output / Math.Max(1, Outputs / Groups) * (Inputs / Groups);
            return (output, first + (within / (each / (Inputs / Groups))));
        }
    }
}
