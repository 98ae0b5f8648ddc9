using System.Numerics;
using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;
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

    private sealed unsafe class DequantizeStep(PrepareContext node) : Step
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
            bool isShifted = context.Inputs.Length > 2 && context.Inputs[2].IsPresent;
            fixed (T* q = context.Input<T>(0), zeros = isShifted ? context.Input<T>(2) : default)
            fixed (float* scales = context.Input<float>(1), x = context.Output<float>(0))
            {
                var body = new Body<T>(axes, q, scales, zeros, x);
                if (axes.IsOne) Ranges.Run(ref body, context.Inputs[0].Count, Unit, ValueTime, context.MaxThreads);
                else Ranges.Run(ref body, axes.Outer * axes.Extent, 1, RunTime + (axes.Inner * ValueTime), context.MaxThreads);
            }
        }

        /// <summary>Whole vectors of every width.</summary>
        private const int Unit = 64;

        /// <summary>Nanoseconds: until the first value of a run, and of each.</summary>
        private const double RunTime = 10, ValueTime = 0.1;

        /// <summary>A range is a part of the values, where they have one scale, or some runs of the inner axes.</summary>
        private readonly struct Body<T>(AxisScales axes, T* q, float* scales, T* zeros, float* x) : IRangeBody where T : unmanaged, IBinaryInteger<T>
        {
            public void Run(int from, int to)
            {
                if (axes.IsOne)
                {
                    Values(from, to - from, 0, 0);
                    return;
                }
                for (int run = from; run < to; run++) Values((long)run * axes.Inner, axes.Inner, axes.IndexOf(run / axes.Extent, run % axes.Extent, 0), axes.PerElement ? 1 : 0);
            }

            /// <param name="at">First value.</param>
            /// <param name="count">How many.</param>
            /// <param name="first">The first one's scale.</param>
            /// <param name="step">From one value's scale to the next one's.</param>
            private void Values(long at, int count, int first, int step)
            {
                if (step == 0 && Span(new ReadOnlySpan<T>(q + at, count), scales[first], zeros == null ? 0 : int.CreateTruncating(zeros[first]), new(x + at, count))) return;
                for (int j = 0; j < count; j++)
                {
                    int index = first + (j * step);
                    x[at + j] = scales[index] * unchecked(int.CreateTruncating(q[at + j]) - (zeros == null ? 0 : int.CreateTruncating(zeros[index])));
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
