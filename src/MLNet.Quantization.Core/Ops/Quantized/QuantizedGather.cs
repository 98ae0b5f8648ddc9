using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>
/// Rows of a table of codes as floats: code · scale of the row. Inputs: codes s8 [rows, columns]; indices Int32 or Int64 of any shape, negative
/// ones counting from the end; scales float32 [rows]. Output: float32 [indices..., columns], the bits that dequantizing the table first gives.
/// </summary>
internal sealed class QuantizedGather : Operator
{
    public override string OpType => nameof(QuantizedGather);

    public override string Domain => OperatorSet.EngineDomain;

    public override ValueFact[] Infer(OpContext context)
    {
        var codes = context.Input(0, ElementType.Int8);
        var indices = context.Input(1, ElementType.Int64, ElementType.Int32);
        var scales = context.Input(2, ElementType.Float);
        if (codes.Shape is not { IsKnown: true, Rank: 2 } table) throw context.Malformed($"its table has shape {codes.Shape}, expected rows and columns");
        if (scales.Shape is not { IsKnown: true } given || given.ElementCount != table[0].Value) throw context.Malformed($"{scales} scales do not fit {table[0]} rows");
        foreach (long index in indices.Value?.ToInt64s() ?? []) Row(context, index, (int)table[0].Value);
        return [new(ElementType.Float, indices.Shape is { } picked ? new([.. picked, table[1]]) : null)];
    }

    public override Step Prepare(PrepareContext context) => new GatherStep(context);

    private static int Row(OpContext node, long index, int rows) =>
        index >= -rows && index < rows ? (int)(index < 0 ? index + rows : index)
        : throw node.Malformed($"index {index} lies outside the {rows} rows of its table");

    private sealed class GatherStep(PrepareContext node) : Step
    {
        public override unsafe void Run(in StepContext context)
        {
            var table = context.Inputs[0].Layout!;
            fixed (sbyte* codes = context.Input<sbyte>(0))
            fixed (float* scales = context.Input<float>(2), y = context.Output<float>(0))
            {
                var body = new Body(node, context.Inputs[1], codes, scales, table.Dims[0], table.Dims[1], y);
                Ranges.Run(ref body, context.Inputs[1].Count, 1, RowTime + (table.Dims[1] * CodeTime), context.MaxThreads);
            }
        }
    }

    /// <summary>Nanoseconds: of a row, and of each code in it.</summary>
    private const double RowTime = 5, CodeTime = 0.1;

    private readonly unsafe struct Body(OpContext node, TensorView picked, sbyte* codes, float* scales, int rows, int columns, float* y) : IRangeBody
    {
        public void Run(int from, int to)
        {
            var indices = new IndexList(picked);
            for (int i = from; i < to; i++)
            {
                int row = Row(node, indices[i], rows);
                Quantizer.Dequantize(new ReadOnlySpan<sbyte>(codes + ((long)row * columns), columns), new(scales[row], 0), new(y + ((long)i * columns), columns));
            }
        }
    }
}
