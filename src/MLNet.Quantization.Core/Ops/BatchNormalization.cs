using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// y = (x - mean) / √(variance + epsilon) · scale + bias by channel, in the form for inference: x [N, C, ...] and the four [C], float32.
/// Computed as x · s + t with s = scale / √(variance + epsilon), t = bias - mean · s, each step rounded.
/// </summary>
internal sealed partial class BatchNormalization : Operator
{
    public override string OpType => "BatchNormalization";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, ElementType.Float);
        if (context.Attribute("training_mode", 0L) != 0) throw context.Unsupported("training_mode is set, supported is inference");
        if (context.OutputCount > 1 && context.Node.Outputs.Skip(1).Any(o => o.Length > 0)) throw context.Unsupported("it gives statistics of training, supported is inference");
        for (int i = 1; i <= 4; i++)
        {
            if (context.Input(i, ElementType.Float).Shape is not { } p) continue;
            if (p.Rank != 1 || x.Shape is { Rank: > 1 } shape && shape[1].IsKnown && p[0].IsKnown && p[0] != shape[1])
                throw context.Malformed($"input {i} ('{context.Node.Inputs[i]}') has shape {p}, which does not fit the channels of {x.Shape}");
        }
        return [new(ElementType.Float, x.Shape)];
    }

    /// <summary>s and t of one channel.</summary>
    public static (float Scale, float Shift) FactorsOf(float scale, float bias, float mean, float variance, float epsilon)
    {
        float s = scale / MathF.Sqrt(variance + epsilon);
        return (s, bias - (mean * s));
    }

    public override Step Prepare(PrepareContext context) => new NormalizeStep(context.Attribute("epsilon", 1e-5f));

    private sealed class NormalizeStep(float epsilon) : Step
    {
        public override bool CanOverwrite(int input) => input == 0;

        public override void Run(in StepContext context)
        {
            var layout = context.Inputs[0].Layout!;
            var x = context.Input<float>(0);
            var y = context.Output<float>(0);
            ReadOnlySpan<float> scale = context.Input<float>(1), bias = context.Input<float>(2), mean = context.Input<float>(3), variance = context.Input<float>(4);
            int channels = layout.Rank > 1 ? layout.Dims[1] : 1, plane = layout.CountOf(Math.Min(2, layout.Rank), layout.Rank);
            for (int at = 0, i = 0; at < x.Length; at += plane, i++)
            {
                int c = i % channels;
                var (s, t) = FactorsOf(scale[c], bias[c], mean[c], variance[c], epsilon);
                var to = y.Slice(at, plane);
                Elementwise.Combine<MultiplyFunction>(x.Slice(at, plane), [s], to);
                Elementwise.Combine<AddFunction>(to, [t], to);
            }
        }
    }
}
