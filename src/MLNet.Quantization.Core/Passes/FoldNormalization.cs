using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Takes what scales and shifts each channel by constants into the layer beside it: BatchNormalization, and Mul, Div, Add, Sub with a
/// constant by channel, right behind a Conv, ConvTranspose or Gemm with constant weights, or right before one. Worked out in double, stored
/// as float32; what does not stay finite stays as it is.
/// </summary>
/// <remarks>
/// A shift goes into the layer behind it only where that pads nothing: zeros would have to become other numbers. What goes into the layer
/// behind it moves the values that are quantized, so there it must not cost precision (<see cref="KeepsPrecision"/>).
/// </remarks>
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
            if (index.OnlyConsumerOf(node.Outputs[0]) is { } next && !touched.Contains(next) && AffineOf(index, next, node.Outputs[0], layer.Outputs, layer) is { } after
                && layer.Behind(patch, after, next.Outputs[0]) is { } behind)
            {
                patch.Remove(next).Replace(node, behind);
                touched.Add(next);
            }
            else if (index.Producers.GetValueOrDefault(node.Inputs[0]) is { Inputs.Length: > 0 } before && !touched.Contains(before) && index.OnlyConsumerOf(node.Inputs[0]) is not null
                && DataOf(index, before) is { } data && AffineOf(index, before, data, layer.Inputs, layer) is { } first
                && (layer.ReadsNoPadding || first.Shift.All(s => s == 0)) && KeepsPrecision(index, before, first) && layer.Before(patch, first, data) is { } whole)
            {
                patch.Remove(before).Replace(node, whole);
                touched.Add(before);
            }
        }
        return patch.Apply();
    }

    /// <summary>y = Scale[c] · x + Shift[c].</summary>
    private sealed record Affine(double[] Scale, double[] Shift);

    /// <summary>The node as a function of its value <paramref name="data"/> by channel, or null.</summary>
    private static Affine? AffineOf(GraphIndex index, Node node, string data, int channels, Layer layer)
    {
        if (node.Domain.Length > 0 || node.Outputs.Count(o => o.Length > 0) != 1) return null;
        if (node.OpType == "BatchNormalization") return node.Inputs[0] == data ? Normalization(index, node, channels) : null;
        if (node.OpType is not ("Mul" or "Div" or "Add" or "Sub")) return null;
        int side = node.Inputs[0] == data ? 0 : 1;
        if (side == 1 && (node.OpType is "Div" or "Sub")) return null;
        if (ByChannel(index.Constant(node.Inputs[1 - side]), channels, layer) is not { } c) return null;
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

    /// <summary>The one input that is not a constant.</summary>
    private static string? DataOf(GraphIndex index, Node node) =>
        node.OpType == "BatchNormalization" ? node.Inputs[0] : node.Inputs.Where(i => index.Constant(i) is null).Take(2).ToList() is [var only] ? only : null;

    /// <summary>
    /// Whether the values before the function suit one scale about as well as those behind it. A factor that all channels share changes
    /// nothing, a shift could. A normalization's mean and variance say what its input was like: the finer of the two steps may be half of
    /// the other, not less, on three standard deviations around the mean.
    /// </summary>
    private static bool KeepsPrecision(GraphIndex index, Node node, Affine affine)
    {
        if (node.OpType != "BatchNormalization") return affine.Shift.All(s => s == 0) && affine.Scale.All(s => s == affine.Scale[0]);
        var parts = Enumerable.Range(1, 4).Select(i => index.Constant(node.Inputs[i])!.Span<float>().ToArray()).ToArray();
        double before = 0, behind = 0, gain = 0;
        for (int c = 0; c < affine.Scale.Length; c++)
        {
            before = Math.Max(before, Math.Abs(parts[2][c]) + (3 * Math.Sqrt(parts[3][c])));
            behind = Math.Max(behind, Math.Abs(parts[1][c]) + (3 * Math.Abs(parts[0][c])));
            gain = Math.Max(gain, Math.Abs(affine.Scale[c]));
        }
        return before * gain <= 2 * behind;
    }

    /// <summary>A constant that broadcasts along channels alone, or one number for all, and adds no axis.</summary>
    private static double[]? ByChannel(Tensor? value, int channels, Layer layer)
    {
        if (value is not { Type: ElementType.Float } || value.Rank > layer.Rank) return null;
        var values = value.Span<float>();
        if (value.Count == 1) return [.. Enumerable.Repeat((double)values[0], channels)];
        int axis = value.Rank - layer.ChannelAxisFromEnd;
        return axis >= 0 && value.Count == channels && value.Dims[axis] == channels ? Array.ConvertAll(values.ToArray(), x => (double)x) : null;
    }

    /// <param name="Node">Conv, ConvTranspose or Gemm.</param>
    /// <param name="Weights">Conv [F, C / group, ...]; ConvTranspose [C, F / group, ...]; Gemm [K, N], or [N, K] where <paramref name="OutputsFirst"/>.</param>
    /// <param name="OutputsFirst">One output's weights lie together.</param>
    /// <param name="Groups">Divides the first extent of the weights.</param>
    /// <param name="Bias">As many as outputs.</param>
    private sealed record Layer(Node Node, Tensor Weights, bool OutputsFirst, int Groups, double[] Bias)
    {
        private bool IsGemm => Node.OpType == "Gemm";

        public int Outputs => Bias.Length;

        public int Inputs => OutputsFirst ? Weights.Dims[1] * Groups : Weights.Dims[0];

        /// <summary>Of an activation.</summary>
        public int Rank => Weights.Rank;

        /// <summary>Where the channels of an activation are: the last axis is 1.</summary>
        public int ChannelAxisFromEnd => Rank - 1;

        /// <summary>Every output sums the same number of inputs; a ConvTranspose has fewer at the borders.</summary>
        public bool ReadsNoPadding =>
            IsGemm || Node.OpType == "Conv" && Node.Attributes.Get("auto_pad", "NOTSET") is "NOTSET" or "VALID" && Node.Attributes.Get("pads", ImmutableArray<long>.Empty) is var p && (p.IsDefaultOrEmpty || p.All(x => x == 0));

        public static Layer? Match(GraphIndex index, Node node)
        {
            if (node is not { Domain: "", OpType: "Conv" or "ConvTranspose" or "Gemm" }) return null;
            bool gemm = node.OpType == "Gemm";
            if (gemm && (node.Attributes.Get("alpha", 1f) != 1 || node.Attributes.Get("beta", 1f) != 1 || node.Attributes.Get("transA", 0L) != 0)) return null;
            if (index.Constant(node.Inputs[1]) is not { Type: ElementType.Float } w || (gemm ? w.Rank != 2 : w.Rank < 3)) return null;
            bool first = gemm ? node.Attributes.Get("transB", 0L) != 0 : node.OpType == "Conv";
            // Both kinds of convolution have their groups along the first axis.
            long groups = gemm ? 1 : node.Attributes.Get("group", 1L);
            if (w.Count == 0 || groups < 1 || w.Dims[0] % groups > 0) return null;
            int outputs = first ? w.Dims[0] : w.Dims[1] * (int)groups;
            var bias = new double[outputs];
            if (node.Input(2) is { } name)
            {
                if (index.Constant(name) is not { Type: ElementType.Float } b || b.Count != 1 && (b.Count != outputs || b.Dims[^1] != outputs)) return null;
                for (int j = 0; j < outputs; j++) bias[j] = b.Span<float>()[b.Count == 1 ? 0 : j];
            }
            return new(node, w, first, (int)groups, bias);
        }

        /// <summary>The layer with what comes behind it, or null where numbers leave the range of float32.</summary>
        public Node? Behind(GraphPatch patch, Affine affine, string output)
        {
            var bias = new double[Outputs];
            for (int j = 0; j < bias.Length; j++) bias[j] = (Bias[j] * affine.Scale[j]) + affine.Shift[j];
            return With(patch, (o, _) => affine.Scale[o], bias, Node.Inputs[0], output);
        }

        /// <summary>The layer with what comes before it, or null where numbers leave the range of float32.</summary>
        public Node? Before(GraphPatch patch, Affine affine, string input)
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

        private Node? With(GraphPatch patch, Func<int, int, double> factor, double[] bias, string input, string output)
        {
            var w = Weights.Span<float>();
            var scaled = new float[w.Length];
            for (int i = 0; i < scaled.Length; i++)
            {
                var (o, c) = PlaceOf(i);
                scaled[i] = (float)(w[i] * factor(o, c));
            }
            float[] shifts = Array.ConvertAll(bias, b => (float)b);
            if (!scaled.All(float.IsFinite) || !shifts.All(float.IsFinite)) return null;
            string weightsName = patch.NewName($"{Node.Inputs[1]}_folded"), biasName = patch.NewName($"{Node.DisplayName}_bias_folded");
            patch.SetInitializer(weightsName, Tensor.Create(scaled, Weights.Dims)).SetInitializer(biasName, Tensor.Create(shifts, shifts.Length));
            return Node with { Inputs = [input, weightsName, biasName], Outputs = [output] };
        }

        /// <summary>Output and input channel of a weight.</summary>
        private (int Output, int Input) PlaceOf(int weight)
        {
            int within = weight / (Weights.Count / Weights.Dims[0] / Weights.Dims[1]);
            int first = within / Weights.Dims[1], second = within % Weights.Dims[1];
            int group = first / (Weights.Dims[0] / Groups);
            return OutputsFirst ? (first, (group * Weights.Dims[1]) + second) : ((group * Weights.Dims[1]) + second, first);
        }
    }
}
