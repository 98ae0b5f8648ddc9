using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>A product of stacks of matrices, as NumPy's matmul: leading axes broadcast, a vector is a row on the left and a column on the right. float32.</summary>
internal sealed partial class MatMul : Operator
{
    public override string OpType => "MatMul";

    public override ValueFact[] Infer(OpContext context)
    {
        TensorShape? a = context.Input(0, ElementType.Float).Shape, b = context.Input(1, ElementType.Float).Shape;
        return [new(ElementType.Float, MatrixStacks.Infer(context, a, b))];
    }

    public override Step Prepare(PrepareContext context)
    {
        var weights = context.Constant(1) is { Rank: 2 } b ? FloatGemm.Pack(b.Span<float>(), b.Dims[0], b.Dims[1], false) : null;
        return new MatMulStep(weights);
    }

    private sealed unsafe class MatMulStep(FloatWeights? weights) : Step
    {
        public override bool ReadsAtRun(int input) => input == 0 || weights is null;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            if (weights is not null) return StepPlan.Empty;
            var stacks = new MatrixStacks(inputs[0]!.Dims, inputs[1]!.Dims);
            return new(LaneBytes(stacks) * (IsShared(stacks) ? WorkerPool.LaneCount : 1), stacks);
        }

        public override void Run(in StepContext context)
        {
            ReadOnlySpan<float> a = context.Input<float>(0);
            var y = context.Output<float>(0);
            if (weights is not null)
            {
                FloatGemm.Multiply(a, weights.N == 0 ? 0 : y.Length / weights.N, weights, [], y, context.MaxThreads);
                return;
            }
            var s = (MatrixStacks)context.State!;
            var b = context.Input<float>(1);
            if (!IsShared(s))
            {
                for (int i = 0; i < s.Count; i++) Multiply(s, i, a, b, y, context.Workspace, context.MaxThreads);
                return;
            }
            fixed (float* pa = a, pb = b, py = y)
            fixed (byte* work = context.Workspace)
            {
                var body = new Body(s, pa, a.Length, pb, b.Length, py, y.Length, work);
                WorkerPool.Run(ref body, s.Count, WorkerPool.LanesFor(s.Count * ((double)s.M * s.K * s.N * ProductTime), context.MaxThreads));
            }
        }

        /// <summary>Nanoseconds of a multiply-add, packing included.</summary>
        private const double ProductTime = 0.02;

        /// <summary>True where threads take whole products of a stack.</summary>
        private static bool IsShared(MatrixStacks s) => s.Count > 1;

        private static long LaneBytes(MatrixStacks s) => AlignedBuffer.Align(FloatGemm.WorkspaceBytes(s.K, s.N));

        private static void Multiply(MatrixStacks s, int i, ReadOnlySpan<float> a, ReadOnlySpan<float> b, Span<float> y, Span<byte> work, int maxThreads)
        {
            var (fromA, fromB) = s.StartOf(i);
            FloatGemm.MultiplyUnpacked(a.Slice(fromA, s.M * s.K), s.M, b.Slice(fromB, s.K * s.N), s.K, s.N, false, [], y.Slice(i * s.M * s.N, s.M * s.N), work, maxThreads);
        }

        private readonly struct Body(MatrixStacks s, float* a, int aCount, float* b, int bCount, float* y, int yCount, byte* work) : IParallelBody
        {
            public void Run(int chunk, int lane) =>
                Multiply(s, chunk, new(a, aCount), new(b, bCount), new(y, yCount), new(work + (lane * LaneBytes(s)), (int)LaneBytes(s)), maxThreads: 1);
        }
    }
}
