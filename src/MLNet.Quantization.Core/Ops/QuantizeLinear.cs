using System.Numerics;
using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Codes of float32 values: q = saturate(round(x / S) + Z). One scale, one an index along <c>axis</c> (default 1), or one a block. The codes
/// have the type of the zero point, or <c>output_dtype</c>, or uint8.
/// </summary>
internal sealed class QuantizeLinear : Operator
{
    private static readonly ElementType[] CodeTypes = [ElementType.UInt8, ElementType.Int8, ElementType.UInt16, ElementType.Int16];

    public override string OpType => "QuantizeLinear";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, ElementType.Float);
        var type = context.Optional(2) is { } zero ? zero.Type : (ElementType)context.Attribute("output_dtype", (long)ElementType.UInt8);
        if (type == ElementType.Undefined) type = ElementType.UInt8;
        if (!CodeTypes.Contains(type)) throw context.Unsupported($"its codes are {type}, supported: {string.Join(", ", CodeTypes)}");
        AxisScales.Check(context);
        return [new(type, x.Shape)];
    }

    public override Step Prepare(PrepareContext context) => new QuantizeStep(context);

    private sealed class QuantizeStep(PrepareContext node) : Step
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) =>
            new(0, AxisScales.Of(node, inputs[0]!.Dims, inputs[1]!.Dims));

        public override void Run(in StepContext context)
        {
            switch (context.Outputs[0].Type)
            {
                case ElementType.UInt8: Run<byte>(context); break;
                case ElementType.Int8: Run<sbyte>(context); break;
                case ElementType.UInt16: Run<ushort>(context); break;
                default: Run<short>(context); break;
            }
        }

        private static void Run<T>(in StepContext context) where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
        {
            var axes = (AxisScales)context.State!;
            ReadOnlySpan<float> x = context.Input<float>(0), scales = context.Input<float>(1);
            var zeros = context.Inputs.Length > 2 && context.Inputs[2].IsPresent ? context.Input<T>(2) : default;
            var q = context.Output<T>(0);
            var grid = new CodeGrid(int.CreateChecked(T.MinValue), int.CreateChecked(T.MaxValue));
            for (int outer = 0, i = 0; outer < axes.Outer; outer++)
                for (int at = 0; at < axes.Extent; at++)
                {
                    int first = axes.IndexOf(outer, at, 0);
                    if (!axes.PerElement)
                    {
                        Span(x.Slice(i, axes.Inner), new(scales[first], zeros.IsEmpty ? 0 : int.CreateChecked(zeros[first])), grid, q.Slice(i, axes.Inner));
                        i += axes.Inner;
                        continue;
                    }
                    for (int j = 0; j < axes.Inner; j++, i++)
                        q[i] = T.CreateTruncating(Quantizer.Code(x[i], new(scales[first + j], zeros.IsEmpty ? 0 : int.CreateChecked(zeros[first + j])), grid));
                }
        }

        private static void Span<T>(ReadOnlySpan<float> x, AffineParameters parameters, CodeGrid grid, Span<T> q) where T : unmanaged, IBinaryInteger<T>
        {
            if (typeof(T) == typeof(byte)) Quantizer.Quantize(x, parameters, MemoryMarshal.Cast<T, byte>(q));
            else if (typeof(T) == typeof(sbyte)) Quantizer.Quantize(x, parameters, MemoryMarshal.Cast<T, sbyte>(q));
            else
                for (int i = 0; i < x.Length; i++) q[i] = T.CreateTruncating(Quantizer.Code(x[i], parameters, grid));
        }
    }
}
