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
        /// <summary>Codes below which one thread is quicker.</summary>
        private const int Alone = 1 << 17;

        private const int ChunkCodes = 1 << 15;

        /// <summary>Elements are combined by position, so an input of the output's size may be written over.</summary>
        public override bool CanOverwrite(int input) => true;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) =>
            new(0, new BroadcastPlan(inputs[0]!.Dims, inputs[1]!.Dims, outputs[0]!.Dims));

        public override unsafe void Run(in StepContext context)
        {
            var plan = (BroadcastPlan)context.State!;
            int chunks = plan.Runs == 1 ? (plan.RunLength + ChunkCodes - 1) / ChunkCodes : plan.Runs;
            fixed (byte* a = context.Input<byte>(0), b = context.Input<byte>(1), y = context.Output<byte>(0))
            {
                var body = new Body(arithmetic, plan, a, b, y);
                WorkerPool.Run(ref body, chunks, (long)plan.Runs * plan.RunLength < Alone ? 1 : context.MaxThreads);
            }
        }

        private readonly unsafe struct Body(CodeArithmetic arithmetic, BroadcastPlan plan, byte* a, byte* b, byte* y) : IParallelBody
        {
            public void Run(int chunk, int lane)
            {
                int run = plan.Runs == 1 ? 0 : chunk, first = plan.Runs == 1 ? chunk * ChunkCodes : 0;
                int count = plan.Runs == 1 ? Math.Min(ChunkCodes, plan.RunLength - first) : plan.RunLength;
                var start = plan.StartOf(run);
                arithmetic.Run(
                    plan.AMoves ? new(a + start.A + first, count) : new ReadOnlySpan<byte>(a + start.A, 1), plan.BMoves ? new(b + start.B + first, count) : new ReadOnlySpan<byte>(b + start.B, 1),
                    new(y + ((long)run * plan.RunLength) + first, count));
            }
        }
    }
}
