using System.Numerics;
using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Ops;

/// <summary>Values of codes: x = S · (q - Z). One scale, one an index along <c>axis</c> (default 1), or one a block. float32.</summary>
internal sealed class DequantizeLinear : Operator
{
    public override string OpType => "DequantizeLinear";

    public override ValueFact[] Infer(OpContext context)
    {
        var q = context.Input(0, ElementType.UInt8, ElementType.Int8, ElementType.Int32, ElementType.UInt16, ElementType.Int16);
        if (context.Optional(2) is { } zero && zero.Type != q.Type) throw context.Malformed($"the codes are {q.Type}, the zero point {zero.Type}");
        AxisScales.Check(context);
        return [new(ElementType.Float, q.Shape)];
    }

    public override Step Prepare(PrepareContext context) => new DequantizeStep(context);

    private sealed class DequantizeStep(PrepareContext node) : Step
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) =>
            new(0, AxisScales.Of(node, inputs[0]!.Dims, inputs[1]!.Dims));

        public override void Run(in StepContext context)
        {
            switch (context.Inputs[0].Type)
            {
                case ElementType.UInt8: Run<byte>(context); break;
                case ElementType.Int8: Run<sbyte>(context); break;
                case ElementType.Int32: Run<int>(context); break;
                case ElementType.UInt16: Run<ushort>(context); break;
                default: Run<short>(context); break;
            }
        }

        private static void Run<T>(in StepContext context) where T : unmanaged, IBinaryInteger<T>
        {
            var axes = (AxisScales)context.State!;
            var q = context.Input<T>(0);
            var scales = context.Input<float>(1);
            var zeros = context.Inputs.Length > 2 && context.Inputs[2].IsPresent ? context.Input<T>(2) : default;
            var x = context.Output<float>(0);
            for (int outer = 0, i = 0; outer < axes.Outer; outer++)
                for (int at = 0; at < axes.Extent; at++)
                {
                    int first = axes.IndexOf(outer, at, 0), step = axes.PerElement ? 1 : 0;
                    if (!axes.PerElement && Span(q.Slice(i, axes.Inner), scales[first], zeros.IsEmpty ? 0 : int.CreateTruncating(zeros[first]), x.Slice(i, axes.Inner)))
                    {
                        i += axes.Inner;
                        continue;
                    }
                    for (int j = 0; j < axes.Inner; j++, i++)
                    {
                        int index = first + (j * step);
                        x[i] = scales[index] * unchecked(int.CreateTruncating(q[i]) - (zeros.IsEmpty ? 0 : int.CreateTruncating(zeros[index])));
                    }
                }
        }

        /// <summary>False where codes are wider than 8 bits.</summary>
        private static bool Span<T>(ReadOnlySpan<T> q, float scale, int zeroPoint, Span<float> x) where T : unmanaged
        {
            if (typeof(T) == typeof(byte)) Quantizer.Dequantize(MemoryMarshal.Cast<T, byte>(q), new(scale, zeroPoint), x);
            else if (typeof(T) == typeof(sbyte)) Quantizer.Dequantize(MemoryMarshal.Cast<T, sbyte>(q), new(scale, zeroPoint), x);
            else return false;
            return true;
        }
    }
}
