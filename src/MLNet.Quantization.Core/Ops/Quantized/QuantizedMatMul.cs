using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>
/// A MatMul of two activations in INT8, broadcast as NumPy's matmul does. Inputs: both factors, float32, or in the static form codes, u8
/// or s8. Output: float32. Attributes: those of <see cref="PairForm"/>.
/// </summary>
internal sealed class QuantizedMatMul : Operator
{
    public override string OpType => nameof(QuantizedMatMul);

    public override string Domain => OperatorSet.EngineDomain;

    public override ValueFact[] Infer(OpContext context)
    {
        ValueFact a = context.Input(0, ElementType.Float, ElementType.UInt8, ElementType.Int8), b = context.Input(1, ElementType.Float, ElementType.UInt8, ElementType.Int8);
        PairForm.Read(context, "", a.Type, b.Type);
        return [new(ElementType.Float, MatrixStacks.Infer(context, a.Shape, b.Shape))];
    }

    public override Step Prepare(PrepareContext context) => new MatMulStep(context, PairForm.Read(context, "", context.Input(0).Type, context.Input(1).Type));

    private sealed record State(MatrixStacks Stacks, PairProduct Product, PairGrid Grid)
    {
        public long LaneBytes => Product.PackedBytes + Product.ScratchBytes(Grid.BlockRows);
    }

    private sealed unsafe class MatMulStep(PrepareContext node, PairForm form) : Step
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var stacks = new MatrixStacks(inputs[0]!.Dims, inputs[1]!.Dims);
            var state = new State(stacks, form.Create(node, stacks.K, stacks.N), PairGrid.For(stacks.Count, stacks.M, (long)stacks.K * stacks.N, stacks.K));
            return new(state.LaneBytes * state.Grid.Lanes, state);
        }

        public override void Run(in StepContext context)
        {
            var state = (State)context.State!;
            fixed (byte* a = context.Input<byte>(0), b = context.Input<byte>(1), work = context.Workspace)
            fixed (float* y = context.Output<float>(0))
            {
                var body = new Body(state, form, a, b, y, work);
                WorkerPool.Run(ref body, state.Grid.Chunks, state.Grid.Lanes == 1 ? 1 : context.MaxThreads);
            }
        }

        private readonly struct Body(State state, PairForm form, byte* a, byte* b, float* y, byte* work) : IParallelBody
        {
            public void Run(int chunk, int lane)
            {
                var (s, product, grid) = state;
                var (index, row, rowEnd) = grid.Rows(chunk);
                var (fromA, fromB) = s.StartOf(index);
                byte* packed = work + (lane * state.LaneBytes), scratch = packed + product.PackedBytes;
                product.Pack(b + ((long)fromB * PairForm.BytesOf(form.BType)), s.N, false, packed, scratch);
                for (; row < rowEnd; row += grid.BlockRows)
                {
                    int rows = Math.Min(grid.BlockRows, rowEnd - row);
                    product.Multiply(a + ((fromA + ((long)row * s.K)) * PairForm.BytesOf(form.AType)), s.K, rows, packed, y + ((((long)index * s.M) + row) * s.N), s.N, scratch);
                }
            }
        }
    }
}
