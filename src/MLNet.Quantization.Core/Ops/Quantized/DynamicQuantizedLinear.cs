using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>
/// A linear layer that quantizes each row of x by its own range. Inputs: x float32 [..., K]; weights s8 (transB: [N, K], else [K, N]);
/// weight scales (1 or N); bias float32. Attributes: transB;
/// sparse_input where rows may come in sparse form.
/// </summary>
internal sealed class DynamicQuantizedLinear : Operator
{
    public override string OpType => nameof(DynamicQuantizedLinear);

    public override string Domain => OperatorSet.EngineDomain;

    public override ValueFact[] Infer(OpContext context)
    {
        context.Input(0, ElementType.Float);
        return [new(ElementType.Float, LinearShape.Infer(context))];
    }

    public override Step Prepare(PrepareContext context)
    {
        var (k, n) = LinearShape.Extents(context);
        var tensor = LinearShape.Weights(context);
        bool transposed = LinearShape.IsTransposed(context);
        float[] scales = LinearShape.Scales(context, n), bias = LinearShape.Bias<float>(context).ToArray();
        var weights = Int8Gemm.Pack(tensor.Span<sbyte>(), k, n, transposed);
        bool mayBeSparse = context.Attribute("sparse_input", 0L) != 0;
        return new LinearStep(new(weights, scales, bias), mayBeSparse ? new(tensor.Span<sbyte>(), k, n, transposed, scales, bias) : null);
    }

    private sealed class LinearStep(DynamicProduct product, SparseProduct? sparse) : Step
    {
        public override bool ReadsAtRun(int input) => input == 0;

        public override bool AcceptsSparse(int input) => input == 0 && sparse is not null;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            int rows = LinearShape.Rows(inputs[0]!);
            return new(Math.Max(product.WorkspaceBytes(rows), sparse?.WorkspaceBytes(rows) ?? 0));
        }

        public override void Run(in StepContext context)
        {
            int rows = LinearShape.Rows(context.Inputs[0].Layout!);
            var y = context.Output<float>(0);
            if (context.Inputs[0].Sparse is { } s)
            {
                sparse!.Run(s.Starts, s.Columns, s.Values, rows, null, y, context.Workspace, context.MaxThreads);
                return;
            }
            product.Run(context.Input<float>(0), rows, y, context.Workspace, context.MaxThreads);
        }
    }
}
