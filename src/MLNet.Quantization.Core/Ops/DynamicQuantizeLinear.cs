using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// uint8 codes of a whole tensor by its own range, with the scale and the zero point. All 0 gives scale 1. Where the tensor holds NaN or
/// infinity the scale is NaN and the codes are 0.
/// </summary>
internal sealed class DynamicQuantizeLinear : Operator
{
    public override string OpType => "DynamicQuantizeLinear";

    public override ValueFact[] Infer(OpContext context) =>
        [new(ElementType.UInt8, context.Input(0, ElementType.Float).Shape), new(ElementType.Float, TensorShape.Scalar), new(ElementType.UInt8, TensorShape.Scalar)];

    public override Step Prepare(PrepareContext context) => new QuantizeStep();

    private sealed class QuantizeStep : Step
    {
        public override void Run(in StepContext context)
        {
            var x = context.Input<float>(0);
            var q = context.Output<byte>(0);
            Span<float> scale = stackalloc float[1];
            Span<int> zero = stackalloc int[1];
            RowQuantizer.Quantize(x, 1, x.Length, q, scale, zero, context.MaxThreads);
            if (float.IsNaN(scale[0])) q.Clear();
            if (context.Outputs.Length > 1 && context.Outputs[1].IsPresent) context.Output<float>(1)[0] = scale[0];
            if (context.Outputs.Length > 2 && context.Outputs[2].IsPresent) context.Output<byte>(2)[0] = (byte)zero[0];
        }
    }
}
