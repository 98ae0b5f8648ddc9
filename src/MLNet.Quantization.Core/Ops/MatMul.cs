using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>A product of stacks of matrices, as NumPy's matmul: leading axes broadcast, a vector is a row on the left and a column on the right. float32.</summary>
internal sealed class MatMul : Operator
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

    private sealed class MatMulStep(FloatWeights? weights) : Step
    {
        public override bool ReadsAtRun(int input) => input == 0 || weights is null;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            if (weights is not null) return StepPlan.Empty;
            var stacks = new MatrixStacks(inputs[0]!.Dims, inputs[1]!.Dims);
            return new(FloatGemm.WorkspaceBytes(stacks.K, stacks.N), stacks);
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
            for (int i = 0; i < s.Count; i++)
            {
                var (fromA, fromB) = s.StartOf(i);
                FloatGemm.MultiplyUnpacked(
                    a.Slice(fromA, s.M * s.K), s.M, b.Slice(fromB, s.K * s.N), s.K, s.N, false, [], y.Slice(i * s.M * s.N, s.M * s.N), context.Workspace, context.MaxThreads);
            }
        }
    }
}
