using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Y = alpha · A' · B' + beta · C, with A' [M, K] = A or its transpose, B' [K, N] = B or its transpose and C broadcast to [M, N].
/// float32.
/// </summary>
internal sealed partial class Gemm : Operator
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
        var y = new TensorShape(m, n);
        if (context.Optional(2) is { } c)
        {
            context.Input(2, ElementType.Float);
            if (c.Shape is { } shape && (shape.Rank > 2 || ShapeRules.Broadcast(context, shape, y) is { IsKnown: true } joined && y.IsKnown && !joined.Equals(y)))
                throw context.Malformed($"C {shape} does not broadcast to {y}");
        }
        return [new ValueFact(ElementType.Float, y)];
    }

    private static TensorShape MatrixOf(OpContext context, int index)
    {
        var shape = context.Input(index, ElementType.Float).Shape ?? new TensorShape(Dimension.Unknown, Dimension.Unknown);
        return shape.Rank == 2 ? shape : throw context.Malformed($"input {index} ('{context.Node.Inputs[index]}') has shape {shape}, expected a matrix");
    }

    public override Step Prepare(PrepareContext context)
    {
        bool transB = context.Attribute("transB", 0L) != 0;
        var weights = context.Constant(1) is { } b ? FloatGemm.Pack(b.Span<float>(), b.Dims[transB ? 1 : 0], b.Dims[transB ? 0 : 1], transB) : null;
        return new GemmStep(context.Attribute("alpha", 1f), context.Attribute("beta", 1f), context.Attribute("transA", 0L) != 0, transB, weights);
    }

    /// <param name="Transpose">Turns A, or null.</param>
    /// <param name="ABytes">Workspace for the turned A.</param>
    /// <param name="BBytes">Workspace for packing B.</param>
    /// <param name="C">How C goes with Y; null where there is none or it is a plain bias.</param>
    private sealed record State(StridedCopy? Transpose, int ABytes, int BBytes, BroadcastPlan? C);

    private sealed class GemmStep(float alpha, float beta, bool transA, bool transB, FloatWeights? weights) : Step
    {
        public override bool ReadsAtRun(int input) => input != 1 || weights is null;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            TensorLayout a = inputs[0]!, y = outputs[0]!;
            var c = inputs.Length > 2 ? inputs[2] : null;
            long aBytes = transA ? AlignedBuffer.Align(a.ByteCount) : 0;
            long bBytes = weights is null ? FloatGemm.WorkspaceBytes(a.Dims[transA ? 0 : 1], y.Dims[1]) : 0;
            bool isBias = c is not null && alpha == 1 && beta == 1 && c.Count == y.Dims[1] && (c.Rank == 1 || c.Rank == 2 && c.Dims[0] == 1);
            var plan = c is null || isBias ? null : new BroadcastPlan(y.Dims, c.Dims, y.Dims);
            long cBytes = plan is null ? 0 : sizeof(float) * (long)plan.RunLength;
            return new(aBytes + bBytes + cBytes, new State(transA ? StridedCopy.Permute(a.Dims, [1, 0], sizeof(float)) : null, (int)aBytes, (int)bBytes, plan));
        }

        public override void Run(in StepContext context)
        {
            var state = (State)context.State!;
            var y = context.Outputs[0];
            int m = y.Dims[0], n = y.Dims[1];
            var a = context.Input<float>(0);
            if (state.Transpose is { } turn)
            {
                var turned = context.Workspace[..(a.Length * sizeof(float))];
                turn.Run(context.Input<byte>(0), turned, context.MaxThreads);
                a = MemoryMarshal.Cast<byte, float>(turned);
            }
            bool hasC = context.Inputs.Length > 2 && context.Inputs[2].IsPresent;
            var bias = hasC && state.C is null ? context.Input<float>(2) : default;
            var result = y.Write<float>();
            if (weights is not null) FloatGemm.Multiply(a, m, weights, bias, result, context.MaxThreads);
            else
            {
                int k = context.Inputs[1].Dims[transB ? 1 : 0];
                FloatGemm.MultiplyUnpacked(a, m, context.Input<float>(1), k, n, transB, bias, result, context.Workspace.Slice(state.ABytes, state.BBytes), context.MaxThreads);
            }
            if (alpha != 1) Elementwise.Combine<MultiplyFunction>(result, [alpha], result);
            if (hasC && state.C is { } plan) AddScaled(plan, context.Input<float>(2), result, MemoryMarshal.Cast<byte, float>(context.Workspace[(state.ABytes + state.BBytes)..]));
        }

        /// <summary>y += beta · c, broadcast.</summary>
        private void AddScaled(BroadcastPlan plan, ReadOnlySpan<float> c, Span<float> y, Span<float> scratch)
        {
            for (int run = 0; run < plan.Runs; run++)
            {
                var scaled = scratch[..(plan.BMoves ? plan.RunLength : 1)];
                Elementwise.Combine<MultiplyFunction>(c.Slice(plan.StartOf(run).B, scaled.Length), [beta], scaled);
                var row = y.Slice(run * plan.RunLength, plan.RunLength);
                Elementwise.Combine<AddFunction>(row, scaled, row);
            }
        }
    }
}
