using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>
/// A convolution that quantizes each image of x [N, C, ...] float32 by its own range. Weights s8 [F, C / group, ...]; weight scales (1 or
/// F); bias float32. y is [N, ..., F] float32, channels last. Attributes: those of Conv.
/// </summary>
internal sealed class DynamicQuantizedConv : Operator
{
    public override string OpType => nameof(DynamicQuantizedConv);

    public override string Domain => OperatorSet.EngineDomain;

    public override ValueFact[] Infer(OpContext context)
    {
        var shape = ConvolutionShapes.Infer(context, context.Input(0, ElementType.Float).Shape, context.Input(1, ElementType.Int8).Shape, context.Optional(3)?.Shape);
        return [new(ElementType.Float, ChannelsLast.ToLast(shape))];
    }

    public override Step Prepare(PrepareContext context)
    {
        var weights = LinearShape.Weights(context);
        int[] w = weights.Dims;
        int groups = (int)context.Attribute("group", 1L), channels = w[1] * groups;
        var kernel = Int8Gemm.Best;
        var window = Extents.Of(w.AsSpan(2));
        int dilation = context.Attribute("dilations", ImmutableArray<long>.Empty) is { IsEmpty: false } d ? (int)d[^1] : 1;
        float[] scales = LinearShape.Scales(context, w[0]), bias = LinearShape.Bias<float>(context).ToArray();
        var form = ConvolutionForm.Of(
            kernel, weights.Span<sbyte>(), channels, w[0], groups, window, dilation, inPlace: false,
            (packed, first) => new FloatProduct(packed, scales.AsSpan(first, packed.N), bias.Length == 0 ? default : bias.AsSpan(first, packed.N)));
        return new ConvStep(context, new([form], new(PixelForm.CodesChannelsFirst, default), inPlace: false));
    }

    private sealed class ConvStep(PrepareContext node, Int8Convolution convolution) : Step
    {
        public override bool ReadsAtRun(int input) => input == 0;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var plan = convolution.For(ConvolutionShapes.Resolve(node, inputs[0]!.Dims, LinearShape.Weights(node).Dims));
            return new(ImageCodes.WorkspaceBytes(inputs[0]!) + plan.WorkspaceBytes, plan);
        }

        public override void Run(in StepContext context)
        {
            var plan = (Int8Convolution.Plan)context.State!;
            if (plan.Shape.Images == 0) return;
            var codes = ImageCodes.Make(context.Input<float>(0), plan.Shape.Images, context.Workspace, context.MaxThreads);
            convolution.Run(plan, codes.Codes, context.Output<byte>(0), codes.Scales, codes.ZeroPoints, codes.Rest, context.MaxThreads);
        }
    }
}
