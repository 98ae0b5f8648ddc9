using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Normalization over one axis, written out in arithmetic, becomes LayerNormalization: (x - E x) / √(V + epsilon) · scale + bias, with
/// constants along the axis, either of which may be missing, and V = E (x - E x)² or E x² - (E x)². Where the axis is not the last, it is
/// transposed there and back.
/// </summary>
internal static class FuseLayerNormalization
{
    private const int FirstOpset = 17;

    /// <param name="graph">Of operator set 13 or later, in topological order. A match raises it to the first that has the operator.</param>
    /// <param name="facts">What is known of its values.</param>
    public static ModelGraph Apply(ModelGraph graph, IReadOnlyDictionary<string, ValueFact> facts)
    {
        if (!LaterOpset.CanRaise(graph, FirstOpset)) return graph;
        var matcher = new Matcher(new(graph), facts);
        var patch = new GraphPatch(graph);
        foreach (var node in graph.Nodes)
            if (node is { Domain: "", OpType: "Sqrt" } && matcher.Match(node) is { } found) Replace(patch, found);
        return patch.IsEmpty ? graph : LaterOpset.Raise(RemoveDeadNodes.Apply(patch.Apply()), FirstOpset);
    }

    private static void Replace(GraphPatch patch, Found found)
    {
        string stem = found.Last.DisplayName, scale = patch.NewName($"{stem}_scale"), x = found.X, y = found.Last.Outputs[0];
        patch.SetInitializer(scale, Tensor.Create(found.Scale, found.Scale.Length)).Remove(found.Last);
        bool last = found.Axis == found.Rank - 1;
        if (!last) (x, y) = (patch.NewName($"{stem}_last"), patch.NewName($"{stem}_normalized"));
        ImmutableArray<string> inputs = [x, scale];
        if (found.Bias is { } bias)
        {
            inputs = inputs.Add(patch.NewName($"{stem}_bias"));
            patch.SetInitializer(inputs[2], Tensor.Create(bias, bias.Length));
        }
        patch.Add(new(found.Last.Name, "LayerNormalization", inputs, [y]) { Attributes = AttributeMap.Empty.With("axis", -1L).With("epsilon", found.Epsilon) });
        if (last) return;
        long[] swap = [.. Enumerable.Range(0, found.Rank).Select(a => (long)(a == found.Axis ? found.Rank - 1 : a == found.Rank - 1 ? found.Axis : a))];
        var perm = AttributeMap.Empty.With("perm", swap.ToImmutableArray());
        patch.Add(Node.Create(x, "Transpose", [found.X], [x]) with { Attributes = perm });
        patch.Add(Node.Create($"{y}_back", "Transpose", [y], [found.Last.Outputs[0]]) with { Attributes = perm });
    }

    private sealed record Found(Node Last, string X, int Axis, int Rank, float Epsilon, float[] Scale, float[]? Bias);

    /// <summary>E x over an axis.</summary>
    private readonly record struct Mean(string X, int Axis);

    private sealed class Matcher(GraphIndex index, IReadOnlyDictionary<string, ValueFact> facts)
    {
        public Found? Match(Node sqrt)
        {
            if (Split(sqrt.Inputs[0], "Add") is not var (variance, epsilonValue) || Number(epsilonValue) is not { } epsilon || epsilon < 0) return null;
            if (VarianceOf(variance) is not var (x, axis)) return null;
            if (ShapeOf(x) is not { } shape || !shape[axis].IsKnown || shape[axis].Value == 0 || !IsReduced(sqrt.Outputs[0], new(x, axis))) return null;
            if (Normalized(sqrt, new(x, axis)) is not var (last, scale)) return null;
            scale ??= Follow(ref last, "Mul", shape, axis);
            float[]? bias = Follow(ref last, "Add", shape, axis);
            scale ??= [.. Enumerable.Repeat(1f, (int)shape[axis].Value)];
            return new(last, x, axis, shape.Rank, epsilon, scale, bias);
        }

        /// <summary>The node that makes (x - E x) / √..., with the constant that the factor was multiplied with before, if any.</summary>
        private (Node Last, float[]? Scale)? Normalized(Node sqrt, Mean mean)
        {
            if (index.OnlyConsumerOf(sqrt.Outputs[0]) is not { Domain: "" } next) return null;
            if (next.OpType == "Div" && next.Inputs[1] == sqrt.Outputs[0] && IsCentred(next.Inputs[0], mean)) return (next, null);
            if (next.OpType != "Reciprocal" && !(next.OpType == "Div" && Number(next.Inputs[0]) is 1f)) return null;
            string factor = next.Outputs[0];
            if (!IsReduced(factor, mean)) return null;
            float[]? scale = null;
            if (index.OnlyConsumerOf(factor) is not { Domain: "", OpType: "Mul" } product) return null;
            if (AlongAxis(Other(product, factor), ShapeOf(mean.X)!, mean.Axis) is { } constant)
            {
                (scale, factor) = (constant, product.Outputs[0]);
                if (index.OnlyConsumerOf(factor) is not { Domain: "", OpType: "Mul" } second) return null;
                product = second;
            }
            return IsCentred(Other(product, factor), mean) ? (product, scale) : null;
        }

        /// <summary>Steps on where the only thing that happens next is this operator with a constant along the axis.</summary>
        private float[]? Follow(ref Node last, string opType, TensorShape shape, int axis)
        {
            string value = last.Outputs[0];
            if (index.OnlyConsumerOf(value) is not { Domain: "" } next || next.OpType != opType || AlongAxis(Other(next, value), shape, axis) is not { } constant) return null;
            last = next;
            return constant;
        }

        private Mean? VarianceOf(string value)
        {
            value = Strip(value);
            if (Split(value, "Max") is var (bounded, bound) && Number(bound) is 0f) value = Strip(bounded);
            if (index.ProducerOf(value, "Sub") is { } difference)
            {
                if (MeanOf(difference.Inputs[0]) is not { } ofSquare || SquareOf(ofSquare.X) is not { } x) return null;
                var mean = ofSquare with { X = x };
                return SquareOf(Strip(difference.Inputs[1])) is { } m && MeanOf(m) == mean && Same(ShapeOf(difference.Inputs[0]), ShapeOf(difference.Inputs[1])) ? mean : null;
            }
            if (MeanOf(value) is not { } outer || SquareOf(outer.X) is not { } centred || index.ProducerOf(centred, "Sub") is not { } d) return null;
            return IsCentred(centred, outer with { X = d.Inputs[0] }) ? outer with { X = d.Inputs[0] } : null;
        }

        /// <summary>x - E x, the mean broadcast along its axis.</summary>
        private bool IsCentred(string value, Mean mean) =>
            index.ProducerOf(value, "Sub") is { } d && d.Inputs[0] == mean.X && MeanOf(d.Inputs[1]) == mean && IsReduced(d.Inputs[1], mean);

        private Mean? MeanOf(string value)
        {
            value = Strip(value);
            if (index.ProducerOf(value, "ReduceMean") is { } reduce) return Reduced(reduce);
            string? sum = null;
            double divisor = 0;
            if (Split(value, "Mul") is var (factor, byNumber) && Number(byNumber) is { } inverse && inverse != 0) (sum, divisor) = (factor, 1 / (double)inverse);
            else if (index.ProducerOf(value, "Div") is { } quotient && Number(quotient.Inputs[1]) is { } count) (sum, divisor) = (quotient.Inputs[0], count);
            if (sum is null || index.ProducerOf(Strip(sum), "ReduceSum") is not { } reduceSum || Reduced(reduceSum) is not { } mean) return null;
            var extent = ShapeOf(mean.X)![mean.Axis];
            return extent.IsKnown && Math.Abs(divisor - extent.Value) <= 1e-6 * extent.Value ? mean : null;
        }

        private Mean? Reduced(Node reduce)
        {
            if (ShapeOf(reduce.Inputs[0]) is not { } shape) return null;
            long[]? axes = reduce.Input(1) is { } name ? index.Constant(name)?.ToInt64s() : [.. reduce.Attributes.Get("axes", ImmutableArray<long>.Empty)];
            return axes is [var axis] && axis >= -shape.Rank && axis < shape.Rank ? new(reduce.Inputs[0], (int)(axis < 0 ? axis + shape.Rank : axis)) : null;
        }

        private string? SquareOf(string value)
        {
            if (index.ProducerOf(value, "Mul") is { } m && m.Inputs[0] == m.Inputs[1]) return m.Inputs[0];
            return index.ProducerOf(value, "Pow") is { } p && Number(p.Inputs[1]) is 2f ? p.Inputs[0] : null;
        }

        /// <summary>True where the value has x's shape but for an extent of 1 along the axis.</summary>
        private bool IsReduced(string value, Mean mean)
        {
            if (ShapeOf(value) is not { } found || ShapeOf(mean.X) is not { } shape) return false;
            var dims = shape.Dims.ToArray();
            dims[mean.Axis] = 1;
            return Same(found, new(dims));
        }

        private static bool Same(TensorShape? a, TensorShape? b) => a is not null && b is not null && a.Rank == b.Rank && a.Zip(b).All(p => p.First.SurelyEquals(p.Second));

        /// <summary>Goes back over what only gives the same numbers, in the same order, another shape.</summary>
        private string Strip(string value)
        {
            while (index.Producers.GetValueOrDefault(value) is { Domain: "", OpType: "Reshape" or "Squeeze" or "Unsqueeze" } node) value = node.Inputs[0];
            return value;
        }

        /// <summary>A constant that varies along the axis alone, as one number for each place.</summary>
        private float[]? AlongAxis(string value, TensorShape shape, int axis)
        {
            if (index.Constant(value) is not { Type: ElementType.Float } constant || constant.Rank > shape.Rank) return null;
            int extent = (int)shape[axis].Value;
            if (constant.Count == 1) return [.. Enumerable.Repeat(constant.Span<float>()[0], extent)];
            int at = axis - (shape.Rank - constant.Rank);
            return at >= 0 && constant.Count == extent && constant.Dims[at] == extent ? constant.Span<float>().ToArray() : null;
        }

        /// <summary>The two operands of a commutative operator, the constant second where there is one.</summary>
        private (string Value, string Constant)? Split(string value, string opType)
        {
            if (index.ProducerOf(value, opType) is not { Inputs: [var a, var b] }) return null;
            return index.Constant(a) is null ? (a, b) : (b, a);
        }

        private static string Other(Node node, string value) => node.Inputs[0] == value ? node.Inputs[1] : node.Inputs[0];

        private float? Number(string value) => index.Constant(value) is { Type: ElementType.Float, Count: 1 } c ? c.Span<float>()[0] : null;

        private TensorShape? ShapeOf(string value) => facts.GetValueOrDefault(value)?.Shape;
    }
}
