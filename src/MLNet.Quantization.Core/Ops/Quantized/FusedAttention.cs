using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>
/// y = softmax(steps(q · k)) · v for each matrix of a stack, some rows of the scores at a time, which stay in the cache: the bits of the
/// operators that it stands for. Inputs: q [..., M, D], k [..., D, T], v [..., T, W], float32 or codes of a static product; then the
/// operands of the steps. Attributes: q_perm, k_perm, v_perm, y_perm where a Transpose before or behind is taken in; steps, names of
/// <see cref="ScoreFunction"/>; those of <see cref="PairForm"/> behind scores_ and context_.
/// </summary>
internal sealed class FusedAttention : Operator
{
    public const string Scores = "scores_", Context = "context_", Steps = "steps";

    private const int FirstOperand = 3;

    public override string OpType => nameof(FusedAttention);

    public override string Domain => OperatorSet.EngineDomain;

    public override ValueFact[] Infer(OpContext context)
    {
        FormsOf(context);
        if (context.Input(0).Shape is not { } q || context.Input(2).Shape is not { } v) return [new(ElementType.Float, null)];
        var rows = Turned(context, "q_perm", q);
        var columns = Turned(context, "v_perm", v);
        Dimension[] result = [.. rows[..^1], columns[^1]];
        return [new(ElementType.Float, new(HeadLayout.Permuted(result, HeadLayout.Perm(context, "y_perm", result.Length))))];
    }

    private static Dimension[] Turned(OpContext context, string perm, TensorShape shape) => HeadLayout.Permuted(shape.Dims.ToArray(), HeadLayout.Perm(context, perm, shape.Rank));

    private static (PairForm Scores, PairForm Context) FormsOf(OpContext context) =>
        (PairForm.Read(context, Scores, context.Input(0).Type, context.Input(1).Type), PairForm.Read(context, Context, ElementType.Float, context.Input(2).Type));

    public override Step Prepare(PrepareContext context)
    {
        var (scores, result) = FormsOf(context);
        var functions = context.Attribute(Steps, ImmutableArray<string>.Empty).Select(Enum.Parse<ScoreFunction>).ToArray();
        return new AttentionStep(context, scores, result, functions);
    }

    private sealed record State(PairProduct Scores, PairProduct Context, HeadLayout Q, HeadLayout K, HeadLayout V, HeadLayout Y, ScoreStep[] Steps, PairGrid Grid)
    {
        /// <summary>Scores of a block.</summary>
        public long BlockBytes => AlignedBuffer.Align((long)Grid.BlockRows * Scores.N * sizeof(float));

        public long LaneBytes => Scores.PackedBytes + Context.PackedBytes + BlockBytes + Math.Max(Scores.ScratchBytes(Grid.BlockRows), Context.ScratchBytes(Grid.BlockRows));
    }

    private sealed unsafe class AttentionStep(PrepareContext node, PairForm scores, PairForm result, ScoreFunction[] functions) : Step
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            int[] Perm(string name, TensorLayout of) => HeadLayout.Perm(node, name, of.Rank);
            TensorLayout q = inputs[0]!, k = inputs[1]!, v = inputs[2]!, y = outputs[0]!;
            int[] rows = HeadLayout.Permuted(q.Dims, Perm("q_perm", q)), keys = HeadLayout.Permuted(k.Dims, Perm("k_perm", k)), values = HeadLayout.Permuted(v.Dims, Perm("v_perm", v));
            if (!rows[..^2].SequenceEqual(keys[..^2]) || !rows[..^2].SequenceEqual(values[..^2]) || rows[^1] != keys[^2] || keys[^1] != values[^2])
                throw node.Malformed($"queries [{string.Join(',', rows)}], keys [{string.Join(',', keys)}] and values [{string.Join(',', values)}] do not fit");
            int count = rows[..^2].Aggregate(1, (product, d) => product * d), tokens = keys[^1];
            int[] shape = [.. rows[..^1], tokens];
            var steps = new ScoreStep[functions.Length];
            for (int i = 0, input = FirstOperand; i < steps.Length; input += ScoreStep.InputsOf(functions[i++])) steps[i] = ScoreStep.Plan(functions[i], input, inputs, shape);
            var state = new State(
                scores.Create(node, rows[^1], tokens), result.Create(node, tokens, values[^1]), HeadLayout.Before(q.Dims, Perm("q_perm", q)), HeadLayout.Before(k.Dims, Perm("k_perm", k)),
                HeadLayout.Before(v.Dims, Perm("v_perm", v)), HeadLayout.Behind(y.Dims, Perm("y_perm", y)), steps, PairGrid.For(count, rows[^2], (long)tokens * (rows[^1] + values[^1]), tokens));
            return new(state.LaneBytes * state.Grid.Lanes, state);
        }

        public override void Run(in StepContext context)
        {
            var state = (State)context.State!;
            byte** data = stackalloc byte*[context.Inputs.Length];
            // Memory of a run does not move: it belongs to its arena, or to a constant that the program holds.
            for (int i = 0; i < context.Inputs.Length; i++) data[i] = context.Inputs[i].Pointer;
            fixed (byte* work = context.Workspace)
            {
                var body = new Body(state, scores, result, data, (float*)context.Outputs[0].Pointer, work);
                WorkerPool.Run(ref body, state.Grid.Chunks, state.Grid.Lanes == 1 ? 1 : context.MaxThreads);
            }
        }

        private readonly struct Body(State state, PairForm scores, PairForm result, byte** data, float* y, byte* work) : IParallelBody
        {
            public void Run(int chunk, int lane)
            {
                var (head, row, rowEnd) = state.Grid.Rows(chunk);
                int tokens = state.Scores.N, block = state.Grid.BlockRows;
                byte* keys = work + (lane * state.LaneBytes), values = keys + state.Scores.PackedBytes, scratch = values + state.Context.PackedBytes + state.BlockBytes;
                float* made = (float*)(values + state.Context.PackedBytes), to = y + state.Y.StartOf(head);
                byte* q = data[0] + (state.Q.StartOf(head) * PairForm.BytesOf(scores.AType));
                state.Scores.Pack(data[1] + (state.K.StartOf(head) * PairForm.BytesOf(scores.BType)), state.K.Stride, state.K.IsTransposed, keys, scratch);
                state.Context.Pack(data[2] + (state.V.StartOf(head) * PairForm.BytesOf(result.BType)), state.V.Stride, state.V.IsTransposed, values, scratch);
                for (; row < rowEnd; row += block)
                {
                    int rows = Math.Min(block, rowEnd - row);
                    state.Scores.Multiply(q + (row * state.Q.Stride * PairForm.BytesOf(scores.AType)), state.Q.Stride, rows, keys, made, tokens, scratch);
                    var all = new Span<float>(made, rows * tokens);
                    foreach (var step in state.Steps) step.Run(data, head, row, all, tokens);
                    if (tokens > 0) FloatReductions.SoftmaxRows(all, tokens, all);
                    state.Context.Multiply((byte*)made, tokens, rows, values, to + (row * state.Y.Stride), state.Y.Stride, scratch);
                }
            }
        }
    }
}
