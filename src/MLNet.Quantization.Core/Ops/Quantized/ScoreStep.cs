using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>What happens to attention scores before their softmax, by the name that attribute steps has for it.</summary>
internal enum ScoreFunction
{
    Div,
    Mul,
    Add,

    /// <summary>Where: the score where the condition holds, else another value.</summary>
    Keep,

    /// <summary>Where: another value where the condition holds, else the score.</summary>
    Replace,
}

/// <summary>One of these steps with its operands, each broadcast to the scores [..., rows, columns].</summary>
/// <param name="Function">Which.</param>
/// <param name="Operands">A divisor, factor or term; of Keep and Replace the condition and the value.</param>
internal sealed record ScoreStep(ScoreFunction Function, ScoreStep.Operand[] Operands)
{
    /// <param name="Input">Of the node.</param>
    /// <param name="Dims">Extents of the stack.</param>
    /// <param name="Strides">Elements along each axis of the scores; 0 where the operand stands still.</param>
    internal sealed record Operand(int Input, int[] Dims, int[] Strides)
    {
        public int RowStride => Strides[^2];

        public int ColumnStride => Strides[^1];

        public int StartOf(int index)
        {
            int at = 0;
            for (int i = Dims.Length - 1; i >= 0; i--)
            {
                (index, int along) = Math.DivRem(index, Dims[i]);
                at += along * Strides[i];
            }
            return at;
        }
    }

    /// <summary>Inputs of a node that the step has.</summary>
    public static int InputsOf(ScoreFunction function) => function is ScoreFunction.Keep or ScoreFunction.Replace ? 2 : 1;

    /// <param name="function">Which.</param>
    /// <param name="first">Its first input.</param>
    /// <param name="inputs">Of the node.</param>
    /// <param name="scores">Extents of the scores.</param>
    public static ScoreStep Plan(ScoreFunction function, int first, ReadOnlySpan<TensorLayout?> inputs, int[] scores)
    {
        var operands = new Operand[InputsOf(function)];
        for (int i = 0; i < operands.Length; i++) operands[i] = new(first + i, scores[..^2], BroadcastPlan.Strides(inputs[first + i]!.Dims, scores.Length));
        return new(function, operands);
    }

    /// <summary>Rows of one matrix of scores, in place.</summary>
    /// <param name="data">Where each operand lies.</param>
    /// <param name="index">Which matrix.</param>
    /// <param name="row">The first row.</param>
    /// <param name="scores">[rows, columns].</param>
    /// <param name="columns">Elements of a row.</param>
    public unsafe void Run(byte** data, int index, int row, Span<float> scores, int columns)
    {
        var first = Operands[0];
        long start = first.StartOf(index) + ((long)row * first.RowStride);
        if (Function is ScoreFunction.Keep or ScoreFunction.Replace)
        {
            var second = Operands[1];
            byte* condition = data[first.Input] + start;
            float* value = (float*)data[second.Input] + second.StartOf(index) + ((long)row * second.RowStride);
            byte replaced = (byte)(Function == ScoreFunction.Replace ? 1 : 0);
            for (int at = 0; at < scores.Length; at += columns, condition += first.RowStride, value += second.RowStride)
                for (int j = 0; j < columns; j++)
                    if (condition[j * first.ColumnStride] == replaced) scores[at + j] = value[j * second.ColumnStride];
            return;
        }
        float* operand = (float*)data[first.Input] + start;
        if (first.RowStride == 0 && first.ColumnStride == 0) Combine(scores, new(operand, 1));
        else for (int at = 0; at < scores.Length; at += columns, operand += first.RowStride) Combine(scores.Slice(at, columns), new(operand, first.ColumnStride == 0 ? 1 : columns));
    }

    private void Combine(Span<float> scores, ReadOnlySpan<float> operand)
    {
        switch (Function)
        {
            case ScoreFunction.Div: Elementwise.Combine<DivideFunction>(scores, operand, scores); break;
            case ScoreFunction.Mul: Elementwise.Combine<MultiplyFunction>(scores, operand, scores); break;
            default: Elementwise.Combine<AddFunction>(scores, operand, scores); break;
        }
    }
}
