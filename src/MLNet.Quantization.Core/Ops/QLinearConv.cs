using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Ops;

/// <summary>
/// The convolution of two 8-bit tensors as 8-bit codes: y = saturate(round((acc + bias) · m) + Zy) with m = (Sx · Sw) / Sy in float32; shapes
/// and attributes are those of Conv. Inputs: x, Sx, Zx, w, Sw, Zw, Sy, Zy, optional int32 bias [F]; Sw and Zw are one, or one an output. Models
/// that are loaded have it in QDQ form instead, where its scales are constant.
/// </summary>
internal sealed class QLinearConv : Operator
{
    private const int Bias = 8;

    public override string OpType => "QLinearConv";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, ElementType.UInt8, ElementType.Int8);
        var w = context.Input(3, ElementType.UInt8, ElementType.Int8);
        foreach (int scale in (int[])[1, 4, 6]) context.Input(scale, ElementType.Float);
        var y = context.Input(7, ElementType.UInt8, ElementType.Int8);
        if (context.Input(2).Type != x.Type || context.Input(5).Type != w.Type) throw context.Malformed("a zero point has another type than its tensor");
        foreach (int input in (int[])[1, 2, 6, 7]) IntegerConvolution.CheckOne(context, input);
        foreach (int input in (int[])[4, 5]) IntegerConvolution.CheckChannels(context, input, w.Shape);
        if (context.Optional(Bias) is not null) context.Input(Bias, ElementType.Int32);
        return [new(y.Type, ConvolutionShapes.Infer(context, x.Shape, w.Shape, context.Optional(Bias)?.Shape))];
    }

    public override Step Prepare(PrepareContext context) => new ConvStep(context);

    private sealed class ConvStep(OpContext node) : Step
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var shape = ConvolutionShapes.Resolve(node, inputs[0]!.Dims, inputs[3]!.Dims);
            return new((long)shape.Output.Count * sizeof(int), shape);
        }

        public override void Run(in StepContext context)
        {
            var s = (ConvolutionShape)context.State!;
            bool xSigned = context.Inputs[0].Type == ElementType.Int8, wSigned = context.Inputs[3].Type == ElementType.Int8, ySigned = context.Outputs[0].Type == ElementType.Int8;
            ReadOnlySpan<byte> x = context.Input<byte>(0), w = context.Input<byte>(3), wZero = context.Input<byte>(5);
            ReadOnlySpan<int> bias = context.Inputs.Length > Bias && context.Inputs[Bias].IsPresent ? context.Input<int>(Bias) : default;
            float sx = context.Input<float>(1)[0], sy = context.Input<float>(6)[0];
            var sw = context.Input<float>(4);
            int zx = IntegerProduct.CodeAt(context.Input<byte>(2), xSigned, 0), zy = IntegerProduct.CodeAt(context.Input<byte>(7), ySigned, 0);
            var grid = ySigned ? CodeGrid.Int8 : CodeGrid.UInt8;
            var y = context.Output<byte>(0);
            int image = s.Channels * s.Input.Count, plane = s.Output.Count;
            var sums = MemoryMarshal.Cast<byte, int>(context.Workspace)[..plane];
            for (int at = 0; at < s.Images * s.Outputs; at++)
            {
                int channel = at % s.Outputs;
                IntegerConvolution.Sums(s, x.Slice(at / s.Outputs * image, image), zx, xSigned, w, IntegerConvolution.ZeroOf(wZero, wSigned, channel), wSigned, channel, sums);
                float multiplier = sx * sw[sw.Length == 1 ? 0 : channel] / sy;
                var to = y.Slice(at * plane, plane);
                for (int i = 0; i < plane; i++) to[i] = NaiveInt8.Requantize(unchecked(sums[i] + (bias.IsEmpty ? 0 : bias[channel])), multiplier, zy, grid.Min - zy, grid.Max - zy);
            }
        }
    }
}
