using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>
/// A convolution with fixed activation scales, channels last. Inputs: x [N, ..., C] as u8 or s8 codes, or, with channels_first, x [N, C,
/// ...] as float32, which is quantized to u8 as it is read; weights s8 [F, C / group, ...]; weight scales (1 or F); bias [F]. y is [N,
/// ..., F]: with output_scale codes, and the bias int32; else float32, and the bias too. Attributes: those of Conv and of
/// <see cref="QuantizedLinear"/>.
/// </summary>
internal sealed class QuantizedConv : Operator
{
    /// <summary>Elements of a window whose sums are exact in int32.</summary>
    public const int MaxWindow = Int8Product.MaxExactK - 64;

    public override string OpType => nameof(QuantizedConv);

    public override string Domain => OperatorSet.EngineDomain;

    public override ValueFact[] Infer(OpContext context)
    {
        bool first = IsChannelsFirst(context);
        var x = first ? context.Input(0, ElementType.Float) : context.Input(0, ElementType.UInt8, ElementType.Int8);
        var shape = ConvolutionShapes.Infer(context, first ? x.Shape : ChannelsLast.ToFirst(x.Shape), context.Input(1, ElementType.Int8).Shape, context.Optional(3)?.Shape);
        return [new(CodeStage.OutputType(context), ChannelsLast.ToLast(shape))];
    }

    public override Step Prepare(PrepareContext context)
    {
        var weights = LinearShape.Weights(context);
        int[] w = weights.Dims;
        int groups = (int)context.Attribute("group", 1L), channels = w[1] * groups, outputs = w[0];
        var input = CodeStage.InputOf(context);
        var source = new PixelSource(
            IsChannelsFirst(context) ? PixelForm.FloatChannelsFirst : context.Input(0).Type == ElementType.Int8 ? PixelForm.SignedCodes : PixelForm.Codes, input);
        var stage = CodeStage.Read(context, outputs);
        var codes = weights.Span<sbyte>();
        var kernel = Int8Gemm.Best;
        bool plain = source.Form == PixelForm.Codes && HasNoPads(context);
        if (plain && groups == 1 && w.Skip(2).All(k => k == 1) && AllOne(context, "strides"))
            return new PointwiseStep(stage.Product(Int8Gemm.Pack(codes, channels, outputs, transposed: true, kernel), 0), input);
        var window = Extents.Of(w.AsSpan(2));
        var dilations = Extents.Of([.. context.Attribute("dilations", ImmutableArray<long>.Empty).Select(d => (int)d)]);
        if (groups == channels && groups == outputs && w.Length <= 4 && stage.Codes is { } output)
        {
            var tiles = QuadDepthwise.Fits(kernel, source.Form, window, dilations.Height) ? kernel : null;
            return new DepthwiseStep(context, new DepthwiseConvolution(codes, channels, source, output, (int)context.Attribute("strides", ImmutableArray.Create(1L))[^1], kernel.Lanes * 32, tiles));
        }

        bool inPlace = plain && Int8Convolution.CanReadInPlace(kernel, source.Form, channels, groups);
        var forms = new List<ConvolutionForm> { ConvolutionForm.Of(kernel, codes, channels, outputs, groups, window, dilations.Width, inPlace, stage.Product) };
        int stride = (int)context.Attribute("strides", ImmutableArray.Create(1L))[^1];
        if (groups == 1 && dilations.Width == 1 && ConvolutionForm.BestPixels(kernel, channels, outputs, window, stride, inPlace) is > 1 and int pixels)
            forms.Insert(0, ConvolutionForm.Wide(kernel, codes, channels, outputs, window, stride, pixels, inPlace, w => stage.Repeat(pixels).Product(w, 0)));
        return new ConvStep(context, new([.. forms], source, inPlace), input);
    }

    private static bool IsChannelsFirst(OpContext context) => context.Attribute("channels_first", 0L) != 0;

    private static bool HasNoPads(OpContext context) =>
        context.Attribute("auto_pad", "NOTSET") is "NOTSET" or "VALID" && context.Attribute("pads", ImmutableArray<long>.Empty) is var pads && (pads.IsEmpty || pads.All(p => p == 0));

    private static bool AllOne(OpContext context, string attribute) => context.Attribute(attribute, ImmutableArray<long>.Empty) is var values && (values.IsEmpty || values.All(v => v == 1));

    /// <summary>The extents, from x channels last or first and the weights.</summary>
    private static ConvolutionShape Resolve(OpContext context, int[] x, int[] w) =>
        ConvolutionShapes.Resolve(context, IsChannelsFirst(context) ? x : ChannelsLast.ToFirst(x), w);

    /// <summary>A window of one pixel: the matrix product of the pixels as they lie.</summary>
    private sealed class PointwiseStep(Int8Product product, Numerics.AffineParameters input) : Step
    {
        public override bool ReadsAtRun(int input) => input == 0;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) => new(product.WorkspaceBytes(LinearShape.Rows(inputs[0]!)));

        public override void Run(in StepContext context)
        {
            int rows = LinearShape.Rows(context.Inputs[0].Layout!);
            if (product is RequantizedProduct codes) codes.Run(context.Input<byte>(0), rows, context.Output<byte>(0), context.Workspace, context.MaxThreads);
            else ((FloatProduct)product).Run(context.Input<byte>(0), rows, [input.Scale], [input.ZeroPoint], context.Output<float>(0), context.Workspace, context.MaxThreads);
        }
    }

    private sealed class DepthwiseStep(PrepareContext node, DepthwiseConvolution convolution) : Step
    {
        public override bool ReadsAtRun(int input) => input == 0;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var plan = convolution.For(Resolve(node, inputs[0]!.Dims, LinearShape.Weights(node).Dims));
            return new(plan.WorkspaceBytes, plan);
        }

        public override void Run(in StepContext context) =>
            convolution.Run((DepthwiseConvolution.Plan)context.State!, context.Input<byte>(0), context.Output<byte>(0), context.Workspace, context.MaxThreads);
    }

    private sealed class ConvStep(PrepareContext node, Int8Convolution convolution, Numerics.AffineParameters input) : Step
    {
        public override bool ReadsAtRun(int input) => input == 0;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var plan = convolution.For(Resolve(node, inputs[0]!.Dims, LinearShape.Weights(node).Dims));
            return new(plan.WorkspaceBytes, plan);
        }

        public override void Run(in StepContext context) =>
            convolution.Run(
                (Int8Convolution.Plan)context.State!, context.Input<byte>(0), context.Output<byte>(0), [input.Scale], [input.ZeroPoint], context.Workspace, context.MaxThreads);
    }
}
