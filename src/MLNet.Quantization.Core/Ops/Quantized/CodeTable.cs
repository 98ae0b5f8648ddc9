using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>
/// y = table[x], element-wise: any function between DequantizeLinear and QuantizeLinear, worked out once for each of the 256 codes.
/// Inputs: x u8 or s8; table u8 or s8 [256], constant, by the bits of x. Output: the table's type.
/// </summary>
internal sealed class CodeTable : Operator
{
    public const int Codes = 256;

    public override string OpType => nameof(CodeTable);

    public override string Domain => OperatorSet.EngineDomain;

    public override ValueFact[] Infer(OpContext context)
    {
        var table = context.Input(1, ElementType.UInt8, ElementType.Int8);
        if (table.Shape is not { Rank: 1, IsKnown: true, ElementCount: Codes }) throw context.Malformed($"the table has shape {table.Shape}, expected [{Codes}]");
        return [new(table.Type, context.Input(0, ElementType.UInt8, ElementType.Int8).Shape)];
    }

    public override Step Prepare(PrepareContext context) =>
        new TableStep((context.Constant(1) ?? throw context.Malformed("the table must be constant")).Bytes.ToArray());

    private sealed class TableStep(byte[] table) : Step
    {
        public override bool ReadsAtRun(int input) => input == 0;

        public override bool CanOverwrite(int input) => input == 0;

        public override unsafe void Run(in StepContext context)
        {
            fixed (byte* x = context.Input<byte>(0), y = context.Output<byte>(0))
            {
                var body = new Body(table, x, y);
                Ranges.Run(ref body, context.Inputs[0].Count, unit: 64, CodeTime, context.MaxThreads);
            }
        }
    }

    /// <summary>Nanoseconds.</summary>
    private const double CodeTime = 0.02;

    private readonly unsafe struct Body(byte[] table, byte* x, byte* y) : IRangeBody
    {
        public void Run(int from, int to) => CodeLookup.Run(table, new(x + from, to - from), new(y + from, to - from));
    }
}
