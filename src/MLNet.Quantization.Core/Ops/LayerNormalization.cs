using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// y = (x - mean) / √(variance + epsilon) · scale + bias over all axes from <c>axis</c> on, float32. Scale and, where given, bias have the
/// extents of these axes, or one number. Outputs 1 and 2, mean and 1 / √..., have extents of 1 there.
/// </summary>
internal sealed partial class LayerNormalization : Operator
{
    public override string OpType => "LayerNormalization";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, ElementType.Float);
        if (context.Attribute("stash_type", 1L) != 1) throw context.Unsupported("stash_type is not 1, supported is float32");
        TensorShape? reduced = null;
        if (x.Shape is { } shape)
        {
            int axis = context.Axis(context.Attribute("axis", -1L), shape.Rank);
            for (int i = 1; i <= 2; i++)
                if (context.Optional(i) is not null || i == 1) CheckParameter(context, i, shape, axis);
            reduced = new([.. shape.Take(axis), .. Enumerable.Repeat((Dimension)1, shape.Rank - axis)]);
        }
        return [new(ElementType.Float, x.Shape), new(ElementType.Float, reduced), new(ElementType.Float, reduced)];
    }

    private static void CheckParameter(OpContext context, int input, TensorShape x, int axis)
    {
        if (context.Input(input, ElementType.Float).Shape is not { } shape || shape.IsKnown && shape.ElementCount == 1 && shape.Rank <= x.Rank) return;
        bool fits = shape.Rank <= x.Rank;
        for (int i = 1; fits && i <= Math.Max(shape.Rank, x.Rank - axis); i++)
        {
            Dimension expected = i <= x.Rank - axis ? x[x.Rank - i] : 1, found = i <= shape.Rank ? shape[shape.Rank - i] : 1;
            fits = !expected.IsKnown || !found.IsKnown || expected == found;
        }
        if (!fits) throw context.Unsupported($"input {input} ('{context.Node.Inputs[input]}') has shape {shape}, supported are the extents of {x} from axis {axis} on, or one number");
    }

    public override Step Prepare(PrepareContext context) => new NormalizeStep(context, context.Attribute("epsilon", 1e-5f));

    private sealed class NormalizeStep(PrepareContext node, float epsilon) : Step
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var x = inputs[0]!;
            return new(0, x.CountOf(0, node.Axis(node.Attribute("axis", -1L), x.Rank)));
        }

        public override unsafe void Run(in StepContext context)
        {
            int count = context.Outputs[0].Count, rows = (int)context.State!;
            if (count == 0) return;
            ReadOnlySpan<float> scale = context.Input<float>(1), bias = context.Inputs.Length > 2 && context.Inputs[2].IsPresent ? context.Input<float>(2) : default;
            Span<float> means = Optional(context, 1), factors = Optional(context, 2);
            fixed (float* x = context.Input<float>(0), s = scale, b = bias, y = context.Output<float>(0), mean = means, factor = factors)
            {
                var body = new Body(count / rows, x, s, scale.Length, b, bias.Length, epsilon, y, mean, factor);
                Ranges.Run(ref body, rows, 1, RowTime + (count / rows * ValueTime), context.MaxThreads);
            }
        }

        private static Span<float> Optional(in StepContext context, int output) =>
            output < context.Outputs.Length && context.Outputs[output].IsPresent ? context.Output<float>(output) : default;
    }

    /// <summary>Nanoseconds: of a row, and of each value in it.</summary>
    private const double RowTime = 30, ValueTime = 0.2;

    private readonly unsafe struct Body(int n, float* x, float* scale, int scales, float* bias, int biases, float epsilon, float* y, float* means, float* factors) : IRangeBody
    {
        public void Run(int from, int to)
        {
            long at = (long)from * n;
            FusedRows.LayerNormalization(
                x + at, to - from, n, epsilon, new(scale, scales), new(bias, biases), y + at, means == null ? null : means + from, factors == null ? null : factors + from);
        }
    }
}
