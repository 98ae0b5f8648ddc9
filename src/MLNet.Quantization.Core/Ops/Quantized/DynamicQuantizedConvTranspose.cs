using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>
/// A transposed convolution that quantizes each image of x [N, C, ...] float32 by its own range. Weights s8 [C, F / group, ...]; weight
/// scales (1 or F); bias float32. y is [N, ..., F] float32, channels last. Attributes: those of ConvTranspose.
/// </summary>
internal sealed class DynamicQuantizedConvTranspose : Operator
{
    public override string OpType => nameof(DynamicQuantizedConvTranspose);

    public override string Domain => OperatorSet.EngineDomain;

    public override ValueFact[] Infer(OpContext context)
    {
        var shape = TransposedShapes.Infer(context, context.Input(0, ElementType.Float).Shape, context.Input(1, ElementType.Int8).Shape, context.Optional(3)?.Shape);
        return [new(ElementType.Float, ChannelsLast.ToLast(shape))];
    }

    public override Step Prepare(PrepareContext context)
    {
        float[] scales = LinearShape.Scales(context, QuantizedConvTranspose.OutputsOf(context)), bias = LinearShape.Bias<float>(context).ToArray();
        return new TransposeStep(context, QuantizedConvTranspose.Make(
            context, new(PixelForm.CodesChannelsFirst, default), (w, first) => new FloatProduct(w, scales.AsSpan(first, w.N), bias.Length == 0 ? default : bias.AsSpan(first, w.N))));
    }

    private sealed class TransposeStep(PrepareContext node, TransposedConvolution convolution) : Step
    {
        public override bool ReadsAtRun(int input) => input == 0;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var plan = QuantizedConvTranspose.PlanOf(node, convolution, inputs[0]!.Dims, outputs[0]!.Dims);
            return new(ImageCodes.WorkspaceBytes(inputs[0]!) + plan.WorkspaceBytes, plan);
        }

        public override void Run(in StepContext context)
        {
            var plan = (TransposedConvolution.Plan)context.State!;
            if (plan.Images == 0) return;
            var codes = ImageCodes.Make(context.Input<float>(0), plan.Images, context.Workspace, context.MaxThreads);
            TransposedConvolution.Run(plan, codes.Codes, context.Output<byte>(0), codes.Scales, codes.ZeroPoints, codes.Rest, context.MaxThreads);
        }
    }
}
