using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Each group of channels of each image of x [N, C, ...] is moved and scaled to mean 0 and variance 1, then scaled and moved by channel:
/// y = (x - mean) / √(variance + epsilon) · scale + bias, float32, each step rounded. The sums are <see cref="FloatReductions"/>.
/// </summary>
internal abstract partial class ImageNormalization : Operator
{
    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, ElementType.Float);
        if (x.Shape is { Rank: < 2 }) throw context.Malformed($"its input has shape {x.Shape}, expected [N, C, ...]");
        Dimension channels = x.Shape is { } shape ? shape[1] : Dimension.Unknown;
        Dimension parameters = CheckGroups(context, channels);
        for (int i = 1; i <= 2; i++)
            if (context.Input(i, ElementType.Float).Shape is { } p && (p.Rank != 1 || p[0].IsKnown && parameters.IsKnown && p[0] != parameters))
                throw context.Malformed($"input {i} ('{context.Node.Inputs[i]}') has shape {p}, expected [{parameters}]");
        return [new(ElementType.Float, x.Shape)];
    }

    /// <summary>Checks that the channels fall into groups.</summary>
    /// <returns>How many scales and biases there have to be.</returns>
    protected abstract Dimension CheckGroups(OpContext context, Dimension channels);

    /// <param name="Planes">Channels of all images.</param>
    /// <param name="Channels">Of one image.</param>
    /// <param name="OfGroup">Channels of a group.</param>
    /// <param name="Plane">Elements of a channel.</param>
    private sealed record State(int Planes, int Channels, int OfGroup, int Plane);

    /// <param name="groups">0: as many as channels.</param>
    /// <param name="epsilon">Added to each variance.</param>
    protected sealed class NormalizeStep(long groups, float epsilon) : Step
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var x = inputs[0]!;
            int channels = x.Dims[1];
            return new(0, new State(x.CountOf(0, 2), channels, groups == 0 ? 1 : Math.Max(1, (int)(channels / groups)), x.CountOf(2, x.Rank)));
        }

        public override unsafe void Run(in StepContext context)
        {
            var s = (State)context.State!;
            if (context.Outputs[0].Count == 0) return;
            bool byGroup = context.Inputs[1].Count != s.Channels;
            fixed (float* x = context.Input<float>(0), scale = context.Input<float>(1), bias = context.Input<float>(2), y = context.Output<float>(0))
            {
                var body = new Body(s, x, scale, bias, byGroup, epsilon, y);
                WorkerPool.Run(ref body, s.Planes / s.OfGroup, context.Outputs[0].Count < 1 << 16 ? 1 : context.MaxThreads);
            }
        }
    }

    /// <summary>A chunk is a group of one image.</summary>
    private readonly unsafe struct Body(State s, float* x, float* scale, float* bias, bool byGroup, float epsilon, float* y) : IParallelBody
    {
        public void Run(int chunk, int lane)
        {
            int count = s.OfGroup * s.Plane, groups = s.Channels / s.OfGroup;
            var from = new ReadOnlySpan<float>(x + ((long)chunk * count), count);
            var to = new Span<float>(y + ((long)chunk * count), count);
            float mean = FloatReductions.Sum(from) / count;
            // The squares stand in the output's place for a moment.
            Elementwise.Combine<SubtractFunction>(from, [mean], to);
            Elementwise.Combine<MultiplyFunction>(to, to, to);
            float by = 1 / MathF.Sqrt((FloatReductions.Sum(to) / count) + epsilon);
            Elementwise.Combine<SubtractFunction>(from, [mean], to);
            Elementwise.Combine<MultiplyFunction>(to, [by], to);
            for (int i = 0; i < s.OfGroup; i++)
            {
                int group = chunk % groups, parameter = byGroup ? group : (group * s.OfGroup) + i;
                var plane = to.Slice(i * s.Plane, s.Plane);
                Elementwise.Combine<MultiplyFunction>(plane, [scale[parameter]], plane);
                Elementwise.Combine<AddFunction>(plane, [bias[parameter]], plane);
            }
        }
    }
}

/// <summary>Each channel is a group.</summary>
internal sealed class InstanceNormalization : ImageNormalization
{
    public override string OpType => "InstanceNormalization";

    protected override Dimension CheckGroups(OpContext context, Dimension channels) => channels;

    public override Step Prepare(PrepareContext context) => new NormalizeStep(0, context.Attribute("epsilon", 1e-5f));
}

/// <summary><c>num_groups</c> groups; scale and bias by channel, before opset 21 by group.</summary>
internal sealed class GroupNormalization : ImageNormalization
{
    public override string OpType => "GroupNormalization";

    protected override Dimension CheckGroups(OpContext context, Dimension channels)
    {
        long groups = context.Attribute("num_groups", 0L);
        if (groups < 1 || channels.IsKnown && channels.Value % groups != 0) throw context.Malformed($"{channels} channels do not fall into {groups} groups");
        return context.Opset < 21 ? groups : channels;
    }

    public override Step Prepare(PrepareContext context) => new NormalizeStep(context.Attribute("num_groups", 0L), context.Attribute("epsilon", 1e-5f));
}
