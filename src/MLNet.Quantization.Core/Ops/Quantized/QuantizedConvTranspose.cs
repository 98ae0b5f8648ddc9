using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>
/// A transposed convolution with fixed activation scales, channels last. Inputs: x [N, ..., C] as u8 or s8 codes; weights s8 [C, F / group,
/// ...]; weight scales (1 or F); bias [F]. y is [N, ..., F]: with output_scale codes, and the bias int32; else float32, and the bias too.
/// Attributes: those of ConvTranspose and of <see cref="QuantizedLinear"/>.
/// </summary>
internal sealed class QuantizedConvTranspose : Operator
{
    public override string OpType => nameof(QuantizedConvTranspose);

    public override string Domain => OperatorSet.EngineDomain;

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, ElementType.UInt8, ElementType.Int8);
        var shape = TransposedShapes.Infer(context, ChannelsLast.ToFirst(x.Shape), context.Input(1, ElementType.Int8).Shape, context.Optional(3)?.Shape);
        return [new(CodeStage.OutputType(context), ChannelsLast.ToLast(shape))];
    }

    public override Step Prepare(PrepareContext context)
    {
        var input = CodeStage.InputOf(context);
        var stage = CodeStage.Read(context, OutputsOf(context));
        return new TransposeStep(context, Make(context, new(context.Input(0).Type == ElementType.Int8 ? PixelForm.SignedCodes : PixelForm.Codes, input), stage.Product), input);
    }

    public static int OutputsOf(PrepareContext context) => LinearShape.Weights(context).Dims[1] * (int)context.Attribute("group", 1L);

    /// <summary>The convolution of a node with constant weights at input 1.</summary>
    public static TransposedConvolution Make(PrepareContext context, PixelSource source, Func<Int8Weights, int, Int8Product> product)
    {
        var weights = LinearShape.Weights(context);
        int[] w = weights.Dims;
        var window = Window.Read(context, w.Length - 2, w[2..]);
        return new(
            weights.Span<sbyte>(), w[0], OutputsOf(context), (int)context.Attribute("group", 1L), Extents.Of(window.Kernel), Extents.Of(window.Strides), Extents.Of(window.Dilations), source,
            KeepsAll(context), Int8Gemm.Best, product);
    }

    /// <param name="context">The node.</param>
    /// <param name="convolution">Of the node.</param>
    /// <param name="x">Extents of its input, channels first.</param>
    /// <param name="y">Extents of its output, channels last.</param>
    public static TransposedConvolution.Plan PlanOf(PrepareContext context, TransposedConvolution convolution, int[] x, int[] y) =>
        convolution.For(x[0], Extents.Of(x.AsSpan(2)), TransposedShapes.Before(context, x, LinearShape.Weights(context).Dims), Extents.Of(y.AsSpan(1, y.Length - 2)));

    private static bool KeepsAll(PrepareContext context) =>
        context.Attribute("auto_pad", "NOTSET") is "NOTSET" or "VALID" && new[] { "pads", "output_padding", "output_shape" }.All(n => context.Attribute(n, ImmutableArray<long>.Empty).All(p => p == 0));

    private sealed class TransposeStep(PrepareContext node, TransposedConvolution convolution, Numerics.AffineParameters input) : Step
    {
        public override bool ReadsAtRun(int input) => input == 0;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var plan = PlanOf(node, convolution, ChannelsLast.ToFirst(inputs[0]!.Dims), outputs[0]!.Dims);
            return new(plan.WorkspaceBytes, plan);
        }

        public override void Run(in StepContext context) =>
            TransposedConvolution.Run(
                (TransposedConvolution.Plan)context.State!, context.Input<byte>(0), context.Output<byte>(0), [input.Scale], [input.ZeroPoint], context.Workspace, context.MaxThreads);
    }
}
