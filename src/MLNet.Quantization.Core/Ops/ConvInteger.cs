using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// The int32 convolution of two 8-bit tensors less their zero points; shapes and attributes are those of Conv. Inputs: x, w, Zx (one),
/// Zw (one, or one an output), both 0 where omitted.
/// </summary>
internal sealed class ConvInteger : Operator
{
    public override string OpType => "ConvInteger";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, ElementType.UInt8, ElementType.Int8);
        var w = context.Input(1, ElementType.UInt8, ElementType.Int8);
        if (context.Optional(2) is { } zx && zx.Type != x.Type || context.Optional(3) is { } zw && zw.Type != w.Type) throw context.Malformed("a zero point has another type than its tensor");
        IntegerConvolution.CheckOne(context, 2);
        IntegerConvolution.CheckChannels(context, 3, w.Shape);
        return [new(ElementType.Int32, ConvolutionShapes.Infer(context, x.Shape, w.Shape, null))];
    }

    public override Step Prepare(PrepareContext context) => new ConvStep(context);

    private sealed class ConvStep(OpContext node) : Step
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) => new(0, ConvolutionShapes.Resolve(node, inputs[0]!.Dims, inputs[1]!.Dims));

        public override void Run(in StepContext context)
        {
            var s = (ConvolutionShape)context.State!;
            bool xSigned = context.Inputs[0].Type == ElementType.Int8, wSigned = context.Inputs[1].Type == ElementType.Int8;
            ReadOnlySpan<byte> x = context.Input<byte>(0), w = context.Input<byte>(1), xZero = IntegerProduct.Bytes(context, 2), wZero = IntegerProduct.Bytes(context, 3);
            var y = context.Output<int>(0);
            int image = s.Channels * s.Input.Count, plane = s.Output.Count;
            for (int at = 0; at < s.Images * s.Outputs; at++)
            {
                int channel = at % s.Outputs;
                IntegerConvolution.Sums(
                    s, x.Slice(at / s.Outputs * image, image), IntegerConvolution.ZeroOf(xZero, xSigned, 0), xSigned, w, IntegerConvolution.ZeroOf(wZero, wSigned, channel), wSigned, channel,
                    y.Slice(at * plane, plane));
            }
        }
    }
}
