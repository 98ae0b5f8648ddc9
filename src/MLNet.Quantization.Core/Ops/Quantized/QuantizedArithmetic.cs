using System.Runtime.CompilerServices;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>
/// a + b or, with product, a · b of u8 or s8 codes, broadcast, as codes. Attributes: a_scale, a_zero_point, b_scale, b_zero_point,
/// output_scale, output_zero_point, output_signed, clamp_min, clamp_max.
/// </summary>
internal sealed class QuantizedArithmetic : Operator
{
    public override string OpType => nameof(QuantizedArithmetic);

    public override string Domain => OperatorSet.EngineDomain;

    public override ValueFact[] Infer(OpContext context)
    {
        var a = context.Input(0, ElementType.UInt8, ElementType.Int8);
        var b = context.Input(1, ElementType.UInt8, ElementType.Int8);
        return [new(CodeStage.OutputType(context), ShapeRules.Broadcast(context, a.Shape, b.Shape))];
    }

    public override Step Prepare(PrepareContext context)
    {
        CodeOperand a = Operand(context, "a", context.Input(0).Type), b = Operand(context, "b", context.Input(1).Type), y = Operand(context, "output", CodeStage.OutputType(context));
        int min = (int)context.Attribute("clamp_min", 0L), max = (int)context.Attribute("clamp_max", 255L);
        return new ArithmeticStep(context.Attribute("product", 0L) != 0 ? CodeArithmetic.Product(a, b, y, min, max) : CodeArithmetic.Sum(a, b, y, min, max));
    }

    private static CodeOperand Operand(OpContext context, string name, ElementType type) =>
        new(context.Attribute($"{name}_scale", 1f), (int)context.Attribute($"{name}_zero_point", 0L), type == ElementType.Int8);

    private sealed class ArithmeticStep(CodeArithmetic arithmetic) : Step
    {
        /// <summary>Elements are combined by position, so an input of the output's size may be written over.</summary>
        public override bool CanOverwrite(int input) => true;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) =>
            new(0, new BroadcastPlan(inputs[0]!.Dims, inputs[1]!.Dims, outputs[0]!.Dims));

        public override unsafe void Run(in StepContext context)
        {
            var plan = (BroadcastPlan)context.State!;
            fixed (byte* a = context.Input<byte>(0), b = context.Input<byte>(1), y = context.Output<byte>(0))
            {
                var body = new Body(arithmetic, plan, a, b, y);
                if (plan.Runs == 1) Ranges.Run(ref body, plan.RunLength, Unit, CodeTime, context.MaxThreads);
                else Ranges.Run(ref body, plan.Runs, 1, RunTime + (plan.RunLength * CodeTime), context.MaxThreads);
            }
        }

        /// <summary>Whole vectors of every width.</summary>
        private const int Unit = 64;

        /// <summary>Nanoseconds: until the first code of a run, and of each.</summary>
        private const double RunTime = 5, CodeTime = 0.1;

        /// <summary>A range is a part of the only run, or some runs.</summary>
        private readonly unsafe struct Body(CodeArithmetic arithmetic, BroadcastPlan plan, byte* a, byte* b, byte* y) : IRangeBody
        {
            /// <summary>A short row that is read again and again is laid out that long, so that the loops have something to run over.</summary>
            private const int TiledCodes = 1024;

            public void Run(int from, int to)
            {
                if (plan.Runs == 1)
                {
                    var start = plan.StartOf(0);
                    Combine(plan.AMoves ? start.A + from : start.A, plan.BMoves ? start.B + from : start.B, from, to - from);
                }
                else if (plan.BRepeats > 1 && plan.RunLength <= TiledCodes / 2) Tiled(from, to);
                else
                    for (int run = from; run < to; run++)
                    {
                        var start = plan.StartOf(run);
                        Combine(start.A, start.B, (long)run * plan.RunLength, plan.RunLength);
                    }
            }

            private void Combine(int fromA, int fromB, long to, int count) =>
                arithmetic.Run(new(a + fromA, plan.AMoves ? count : 1), new ReadOnlySpan<byte>(b + fromB, plan.BMoves ? count : 1), new(y + to, count));

            [SkipLocalsInit]
            private void Tiled(int run, int end)
            {
                Span<byte> tile = stackalloc byte[TiledCodes];
                int most = TiledCodes / plan.RunLength;
                while (run < end)
                {
                    // Up to where b goes on.
                    int repeats = Math.Min(plan.BRepeats - (run % plan.BRepeats), end - run), filled = Math.Min(most, repeats);
                    var start = plan.StartOf(run);
                    for (int i = 0; i < filled; i++) new ReadOnlySpan<byte>(b + start.B, plan.RunLength).CopyTo(tile[(i * plan.RunLength)..]);
                    for (int i = 0; i < repeats; i += filled)
                    {
                        int count = Math.Min(filled, repeats - i) * plan.RunLength, at = i * plan.RunLength;
                        arithmetic.Run(new(a + start.A + at, count), tile[..count], new(y + ((long)run * plan.RunLength) + at, count));
                    }
                    run += repeats;
                }
            }
        }
    }
}
