using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>The exact int32 product of two 8-bit tensors less their zero points; shapes as MatMul's. Zero points are one, one a row of A, one a column of B.</summary>
internal sealed class MatMulInteger : Operator
{
    public override string OpType => "MatMulInteger";

    public override ValueFact[] Infer(OpContext context)
    {
        var a = context.Input(0, ElementType.UInt8, ElementType.Int8);
        var b = context.Input(1, ElementType.UInt8, ElementType.Int8);
        if (context.Optional(2) is { } za && za.Type != a.Type || context.Optional(3) is { } zb && zb.Type != b.Type) throw context.Malformed("a zero point has another type than its tensor");
        IntegerProduct.CheckRows(context, 2, a.Shape);
        IntegerProduct.CheckColumns(context, 3, b.Shape);
        return [new(ElementType.Int32, MatrixStacks.Infer(context, a.Shape, b.Shape))];
    }

    public override Step Prepare(PrepareContext context)
    {
        bool isFast = context.Input(0).Type == ElementType.UInt8 && context.Constant(1) is { Type: ElementType.Int8, Rank: 2 } && IntegerProduct.IsZero(context, 3)
            && (context.Optional(2) is not { } zero || zero.Value is { Count: 1 });
        if (!isFast) return new PlainStep();
        var b = context.Constant(1)!;
        var weights = Int8Gemm.Pack(b.Span<sbyte>(), b.Dims[0], b.Dims[1], false);
        return new KernelStep(new(weights, context.Constant(2) is { } z ? z.Span<byte>()[0] : 0, []), b.Dims[1]);
    }

    private sealed class KernelStep(Int32Product product, int n) : Step
    {
        public override bool ReadsAtRun(int input) => input == 0;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) => new(product.WorkspaceBytes(Rows(outputs[0]!.Count)));

        public override void Run(in StepContext context) =>
            product.Run(context.Input<byte>(0), Rows(context.Outputs[0].Count), context.Output<int>(0), context.Workspace, context.MaxThreads);

        private int Rows(int count) => n == 0 ? 0 : count / n;
    }

    private sealed class PlainStep : Step
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var stacks = new MatrixStacks(inputs[0]!.Dims, inputs[1]!.Dims);
            return new((long)stacks.M * stacks.N * sizeof(long), stacks);
        }

        public override void Run(in StepContext context)
        {
            var s = (MatrixStacks)context.State!;
            var sums = IntegerProduct.SumsIn(context.Workspace, s.M * s.N);
            ReadOnlySpan<byte> a = context.Input<byte>(0), b = context.Input<byte>(1);
            bool aSigned = context.Inputs[0].Type == ElementType.Int8, bSigned = context.Inputs[1].Type == ElementType.Int8;
            var y = context.Output<int>(0);
            for (int i = 0; i < s.Count; i++)
            {
                var (fromA, fromB) = s.StartOf(i);
                IntegerProduct.Sums(
                    a.Slice(fromA, s.M * s.K), b.Slice(fromB, s.K * s.N), s.M, s.K, s.N, IntegerProduct.Bytes(context, 2), IntegerProduct.Bytes(context, 3), aSigned, bSigned, sums);
                for (int j = 0; j < sums.Length; j++) y[(i * sums.Length) + j] = unchecked((int)sums[j]);
            }
        }
    }
}
