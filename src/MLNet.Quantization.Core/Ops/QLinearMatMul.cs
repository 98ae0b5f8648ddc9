using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Ops;

/// <summary>
/// The product of two 8-bit tensors as 8-bit codes: y = saturate(round(acc · m) + Zy) with m = (Sa · Sb) / Sy in float32; shapes as
/// MatMul's. Inputs: a, Sa, Za, b, Sb, Zb, Sy, Zy; scale and zero point are one, one a row of A, one a column of B, and one for Y.
/// </summary>
internal sealed class QLinearMatMul : Operator
{
    public override string OpType => "QLinearMatMul";

    public override ValueFact[] Infer(OpContext context)
    {
        var a = context.Input(0, ElementType.UInt8, ElementType.Int8);
        var b = context.Input(3, ElementType.UInt8, ElementType.Int8);
        foreach (int scale in (int[])[1, 4, 6]) context.Input(scale, ElementType.Float);
        var y = context.Input(7, ElementType.UInt8, ElementType.Int8);
        if (context.Input(2).Type != a.Type || context.Input(5).Type != b.Type) throw context.Malformed("a zero point has another type than its tensor");
        foreach (int input in (int[])[1, 2]) IntegerProduct.CheckRows(context, input, a.Shape);
        foreach (int input in (int[])[4, 5]) IntegerProduct.CheckColumns(context, input, b.Shape);
        foreach (int input in (int[])[6, 7])
            if (context.Input(input).Shape is { IsKnown: true } shape && shape.ElementCount != 1) throw context.Unsupported($"input {input} ('{context.Node.Inputs[input]}') has shape {shape}; supported: one value");
        return [new(y.Type, MatrixStacks.Infer(context, a.Shape, b.Shape))];
    }

    public override Step Prepare(PrepareContext context)
    {
        bool isFast = context.Input(0).Type == ElementType.UInt8 && context.Constant(3) is { Type: ElementType.Int8, Rank: 2 } && IntegerProduct.IsZero(context, 5)
            && context.Constant(1) is { Count: 1 } && context.Constant(2) is { Count: 1 } && context.Constant(4) is not null && context.Constant(6) is not null && context.Constant(7) is not null;
        if (!isFast) return new PlainStep();
        var b = context.Constant(3)!;
        int n = b.Dims[1];
        float sa = context.Constant(1)!.Span<float>()[0], sy = context.Constant(6)!.Span<float>()[0];
        var sb = context.Constant(4)!;
        var multipliers = new float[n];
        for (int j = 0; j < n; j++) multipliers[j] = sa * sb.Span<float>()[sb.Count == 1 ? 0 : j] / sy;
        bool signed = context.Input(7).Type == ElementType.Int8;
        int zy = IntegerProduct.CodeAt(context.Constant(7)!.Bytes.Span, signed, 0);
        var product = new RequantizedProduct(
            Int8Gemm.Pack(b.Span<sbyte>(), b.Dims[0], n, false), context.Constant(2)!.Span<byte>()[0], [], multipliers, zy, signed ? -128 : 0, signed ? 127 : 255, signed);
        return new KernelStep(product, n);
    }

    private sealed class KernelStep(RequantizedProduct product, int n) : Step
    {
        public override bool ReadsAtRun(int input) => input == 0;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) => new(product.WorkspaceBytes(Rows(outputs[0]!.Count)));

        public override void Run(in StepContext context) =>
            product.Run(context.Input<byte>(0), Rows(context.Outputs[0].Count), context.Output<byte>(0), context.Workspace, context.MaxThreads);

        private int Rows(int count) => n == 0 ? 0 : count / n;
    }

    private sealed class PlainStep : Step
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var stacks = new MatrixStacks(inputs[0]!.Dims, inputs[3]!.Dims);
            return new((long)stacks.M * stacks.N * sizeof(long), stacks);
        }

        public override void Run(in StepContext context)
        {
            var s = (MatrixStacks)context.State!;
            var sums = IntegerProduct.SumsIn(context.Workspace, s.M * s.N);
            ReadOnlySpan<byte> a = context.Input<byte>(0), b = context.Input<byte>(3);
            bool aSigned = context.Inputs[0].Type == ElementType.Int8, bSigned = context.Inputs[3].Type == ElementType.Int8, ySigned = context.Outputs[0].Type == ElementType.Int8;
            ReadOnlySpan<float> sa = context.Input<float>(1), sb = context.Input<float>(4);
            float sy = context.Input<float>(6)[0];
            int zy = IntegerProduct.CodeAt(context.Input<byte>(7), ySigned, 0);
            var grid = ySigned ? CodeGrid.Int8 : CodeGrid.UInt8;
            var y = context.Output<byte>(0);
            for (int i = 0, at = 0; i < s.Count; i++)
            {
                var (fromA, fromB) = s.StartOf(i);
                IntegerProduct.Sums(a.Slice(fromA, s.M * s.K), b.Slice(fromB, s.K * s.N), s.M, s.K, s.N, context.Input<byte>(2), context.Input<byte>(5), aSigned, bSigned, sums);
                for (int r = 0; r < s.M; r++)
                    for (int c = 0; c < s.N; c++, at++)
                    {
                        float multiplier = sa[sa.Length == 1 ? 0 : r] * sb[sb.Length == 1 ? 0 : c] / sy;
                        y[at] = NaiveInt8.Requantize(sums[(r * s.N) + c], multiplier, zy, grid.Min - zy, grid.Max - zy);
                    }
            }
        }
    }
}
