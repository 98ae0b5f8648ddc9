using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// y = x / (bias + alpha / size · Σ x²)^beta, the sum over <c>size</c> channels around the element's own, x [N, C, ...], float32. The
/// squares are added with the channel ascending; the power is e^(-beta · ln).
/// </summary>
internal sealed class Lrn : Operator
{
    public override string OpType => "LRN";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, ElementType.Float);
        if (x.Shape is { Rank: < 2 }) throw context.Malformed($"its input has shape {x.Shape}, expected [N, C, ...]");
        SizeOf(context);
        return [new(ElementType.Float, x.Shape)];
    }

    private static int SizeOf(OpContext context)
    {
        long size = context.Attribute("size", 0L);
        return size is >= 1 and <= int.MaxValue ? (int)size : throw context.Malformed($"size is {size}, expected 1 or more");
    }

    public override Step Prepare(PrepareContext context) =>
        new NormalizeStep(SizeOf(context), context.Attribute("alpha", 1e-4f), context.Attribute("beta", 0.75f), context.Attribute("bias", 1f));

    private sealed class NormalizeStep(int size, float alpha, float beta, float bias) : Step
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) =>
            new(sizeof(float) * (long)inputs[0]!.CountOf(2, inputs[0]!.Rank));

        public override void Run(in StepContext context)
        {
            var layout = context.Inputs[0].Layout!;
            int channels = layout.Dims[1], plane = layout.CountOf(2, layout.Rank);
            var x = context.Input<float>(0);
            var y = context.Output<float>(0);
            var squares = MemoryMarshal.Cast<byte, float>(context.Workspace)[..plane];
            for (int at = 0, i = 0; at < y.Length; at += plane, i++)
            {
                int channel = i % channels, first = Math.Max(0, channel - ((size - 1) / 2)), last = (int)Math.Min(channels - 1L, channel + (size / 2L));
                var sum = y.Slice(at, plane);
                sum.Clear();
                for (int c = first; c <= last; c++)
                {
                    var other = x.Slice(at + ((c - channel) * plane), plane);
                    Elementwise.Combine<MultiplyFunction>(other, other, squares);
                    Elementwise.Combine<AddFunction>(sum, squares, sum);
                }
                Elementwise.Combine<MultiplyFunction>(sum, [alpha / size], sum);
                Elementwise.Combine<AddFunction>(sum, [bias], sum);
                Elementwise.Map(new LogFunction(), sum, sum);
                Elementwise.Combine<MultiplyFunction>(sum, [-beta], sum);
                Elementwise.Map(new ExpFunction(), sum, sum);
                Elementwise.Combine<MultiplyFunction>(sum, x.Slice(at, plane), sum);
            }
        }
    }
}
