using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Y = alpha · A' · B' + beta · C, with A' [M, K] = A or its transpose, B' [K, N] = B or its transpose and C broadcast to [M, N].
/// float32.
/// </summary>
internal sealed class Gemm : Operator
{
    public override string OpType => "Gemm";

    public override ValueFact[] Infer(OpContext context)
    {
        var a = MatrixOf(context, 0);
        var b = MatrixOf(context, 1);
        bool transA = context.Attribute("transA", 0L) != 0, transB = context.Attribute("transB", 0L) != 0;
        Dimension m = a[transA ? 1 : 0], k = a[transA ? 0 : 1], kb = b[transB ? 1 : 0], n = b[transB ? 0 : 1];
        if (k.IsKnown && kb.IsKnown && k != kb)
            throw context.Malformed($"A {a} and B {b} do not fit: the product runs over {k} and {kb} elements");
        return [new ValueFact(ElementType.Float, new TensorShape(m, n))];
    }

    private static TensorShape MatrixOf(OpContext context, int index)
    {
        var shape = context.Input(index, ElementType.Float).Shape ?? new TensorShape(Dimension.Unknown, Dimension.Unknown);
        return shape.Rank == 2 ? shape : throw context.Malformed($"input {index} ('{context.Node.Inputs[index]}') has shape {shape}, expected a matrix");
    }

    public override Step Prepare(PrepareContext context) => new GemmStep(
        context.Attribute("alpha", 1f), context.Attribute("beta", 1f),
        context.Attribute("transA", 0L) != 0, context.Attribute("transB", 0L) != 0);

    private sealed class GemmStep(float alpha, float beta, bool transA, bool transB) : Step
    {
        public override void Run(in StepContext context)
        {
            var a = context.Inputs[0];
            var y = context.Outputs[0];
            int m = y.Dims[0], n = y.Dims[1], k = a.Dims[transA ? 0 : 1];
            ReadOnlySpan<float> x = a.Read<float>(), w = context.Input<float>(1), c = default;
            int cRow = 0, cCol = 0;
            if (context.Inputs.Length > 2 && context.Inputs[2].IsPresent)
            {
                c = context.Input<float>(2);
                var d = context.Inputs[2].Dims;
                cCol = d.Length > 0 && d[^1] > 1 ? 1 : 0;
                cRow = d.Length > 1 && d[0] > 1 ? d[1] : 0;
            }
            var output = y.Write<float>();
            for (int i = 0; i < m; i++)
                for (int j = 0; j < n; j++)
                {
                    float sum = 0;
                    for (int l = 0; l < k; l++)
                        sum = MathF.FusedMultiplyAdd(x[transA ? l * m + i : i * k + l], w[transB ? j * k + l : l * n + j], sum);
                    output[i * n + j] = alpha * sum + (c.IsEmpty ? 0 : beta * c[i * cRow + j * cCol]);
                }
        }
    }
}
