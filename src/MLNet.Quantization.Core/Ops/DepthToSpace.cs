using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Channels to blocks of pixels: [N, C, H, W] to [N, C / b², H · b, W · b], b = <c>blocksize</c>. The block's position varies slowest in a
/// channel's number (<c>mode</c> DCR) or fastest (CRD). Any element type.
/// </summary>
internal sealed partial class DepthToSpace : Operator
{
    public override string OpType => "DepthToSpace";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        int b = PixelBlocks.SizeOf(context);
        if (Mode(context) is not ("DCR" or "CRD")) throw context.Malformed($"mode is '{Mode(context)}', expected DCR or CRD");
        if (PixelBlocks.ImageOf(context) is not { } shape) return [new(x.Type, null)];
        return [new(x.Type, new(shape[0], PixelBlocks.Divide(context, shape[1], (long)b * b, "channels"), PixelBlocks.Times(shape[2], b), PixelBlocks.Times(shape[3], b)))];
    }

    private static string Mode(OpContext context) => context.Attribute("mode", "DCR");

    public override Step Prepare(PrepareContext context) => new BlockStep(PixelBlocks.SizeOf(context), Mode(context) == "CRD");

    private sealed class BlockStep(int b, bool channelFirst) : Step
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var x = inputs[0]!;
            int n = x.Dims[0], c = outputs[0]!.Dims[1], h = x.Dims[2], w = x.Dims[3];
            return new(0, channelFirst
                ? StridedCopy.Permute([n, c, b, b, h, w], [0, 1, 4, 2, 5, 3], x.Type.SizeOf())
                : StridedCopy.Permute([n, b, b, c, h, w], [0, 3, 4, 1, 5, 2], x.Type.SizeOf()));
        }

        public override void Run(in StepContext context) => ((StridedCopy)context.State!).Run(context.Input<byte>(0), context.Output<byte>(0), context.MaxThreads);
    }
}

/// <summary>Blocks of pixels to channels: [N, C, H, W] to [N, C · b², H / b, W / b], b = <c>blocksize</c>; the inverse of DepthToSpace in mode DCR. Any element type.</summary>
internal sealed partial class SpaceToDepth : Operator
{
    public override string OpType => "SpaceToDepth";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        int b = PixelBlocks.SizeOf(context);
        if (PixelBlocks.ImageOf(context) is not { } shape) return [new(x.Type, null)];
        return [new(x.Type, new(shape[0], PixelBlocks.Times(shape[1], (long)b * b), PixelBlocks.Divide(context, shape[2], b, "rows"), PixelBlocks.Divide(context, shape[3], b, "columns")))];
    }

    public override Step Prepare(PrepareContext context) => new BlockStep(PixelBlocks.SizeOf(context));

    private sealed class BlockStep(int b) : Step
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var (x, y) = (inputs[0]!, outputs[0]!);
            return new(0, StridedCopy.Permute([x.Dims[0], x.Dims[1], y.Dims[2], b, y.Dims[3], b], [0, 3, 5, 1, 2, 4], x.Type.SizeOf()));
        }

        public override void Run(in StepContext context) => ((StridedCopy)context.State!).Run(context.Input<byte>(0), context.Output<byte>(0), context.MaxThreads);
    }
}

/// <summary>What both directions share.</summary>
internal static class PixelBlocks
{
    /// <summary>Blocks beyond this leave no channels or pixels in any real tensor; their squares stay small.</summary>
    private const int MostSize = 1 << 15;

    public static int SizeOf(OpContext context)
    {
        long size = context.Attribute("blocksize", 0L);
        return size is >= 1 and <= MostSize ? (int)size : throw context.Malformed($"blocksize is {size}, expected 1 to {MostSize}");
    }

    /// <summary>The shape of input 0; null where it is not known.</summary>
    public static TensorShape? ImageOf(OpContext context) =>
        context.Input(0).Shape is not { } shape ? null : shape.Rank == 4 ? shape : throw context.Malformed($"its input has shape {shape}, expected [N, C, H, W]");

    public static Dimension Times(Dimension d, long by) => d.IsKnown ? checked(d.Value * by) : by == 1 ? d : Dimension.Unknown;

    public static Dimension Divide(OpContext context, Dimension d, long by, string what)
    {
        if (!d.IsKnown) return by == 1 ? d : Dimension.Unknown;
        return d.Value % by == 0 ? d.Value / by : throw context.Malformed($"{d} {what} do not fall into blocks of {by}");
    }
}
