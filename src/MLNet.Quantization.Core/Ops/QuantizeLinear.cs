using System.Numerics;
using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;
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

    private sealed unsafe class QuantizeStep(PrepareContext node) : Step
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
            bool isShifted = context.Inputs.Length > 2 && context.Inputs[2].IsPresent;
            fixed (float* x = context.Input<float>(0), scales = context.Input<float>(1))
            fixed (T* zeros = isShifted ? context.Input<T>(2) : default, q = context.Output<T>(0))
            {
                var body = new Body<T>(axes, x, scales, zeros, q);
                if (axes.IsOne) Ranges.Run(ref body, context.Inputs[0].Count, Unit, ValueTime, context.MaxThreads);
                else Ranges.Run(ref body, axes.Outer * axes.Extent, 1, RunTime + (axes.Inner * ValueTime), context.MaxThreads);
            }
        }

        /// <summary>Whole vectors of every width.</summary>
        private const int Unit = 64;

        /// <summary>Nanoseconds: until the first value of a run, and of each.</summary>
        private const double RunTime = 10, ValueTime = 0.15;

        /// <summary>A range is a part of the values, where they have one scale, or some runs of the inner axes.</summary>
        private readonly struct Body<T>(AxisScales axes, float* x, float* scales, T* zeros, T* q) : IRangeBody where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
        {
            private static readonly CodeGrid s_grid = new(int.CreateChecked(T.MinValue), int.CreateChecked(T.MaxValue));

            public void Run(int from, int to)
            {
                if (axes.IsOne)
                {
                    Span(new(x + from, to - from), Parameters(0), s_grid, new Span<T>(q + from, to - from));
                    return;
                }
                long i = (long)from * axes.Inner;
                for (int run = from; run < to; run++)
                {
                    int first = axes.IndexOf(run / axes.Extent, run % axes.Extent, 0);
                    if (!axes.PerElement)
                    {
                        Span(new(x + i, axes.Inner), Parameters(first), s_grid, new Span<T>(q + i, axes.Inner));
                        i += axes.Inner;
                        continue;
                    }
                    for (int j = 0; j < axes.Inner; j++, i++) q[i] = T.CreateTruncating(Quantizer.Code(x[i], Parameters(first + j), s_grid));
                }
            }

            private AffineParameters Parameters(int index) => new(scales[index], zeros == null ? 0 : int.CreateChecked(zeros[index]));
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
