using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>
/// y[..., c] = table[c, x[..., c]]: a function of one value that differs by channel, worked out once for each of the 256 codes. Inputs: x u8
/// or s8 [..., C], channels last; table u8 or s8 [C, 256], constant, by the bits of x. Output: the table's type.
/// </summary>
internal sealed class ChannelTable : Operator
{
    public override string OpType => nameof(ChannelTable);

    public override string Domain => OperatorSet.EngineDomain;

    public override ValueFact[] Infer(OpContext context)
    {
        var table = context.Input(1, ElementType.UInt8, ElementType.Int8);
        var x = context.Input(0, ElementType.UInt8, ElementType.Int8);
        if (table.Shape is not { Rank: 2, IsKnown: true } t || t[1].Value != CodeTable.Codes) throw context.Malformed($"the table has shape {table.Shape}, expected [channels, {CodeTable.Codes}]");
        if (x.Shape is { } shape && (shape.Rank == 0 || shape[shape.Rank - 1].IsKnown && shape[shape.Rank - 1] != t[0])) throw context.Malformed($"input {shape} does not fit a table for {t[0]} channels");
        return [new(table.Type, x.Shape)];
    }

    public override Step Prepare(PrepareContext context) =>
        new TableStep((context.Constant(1) ?? throw context.Malformed("the table must be constant")).Bytes.ToArray());

    private sealed class TableStep(byte[] tables) : Step
    {
        public override bool ReadsAtRun(int input) => input == 0;

        public override bool CanOverwrite(int input) => input == 0;

        public override unsafe void Run(in StepContext context)
        {
            fixed (byte* t = tables, x = context.Input<byte>(0), y = context.Output<byte>(0))
            {
                int channels = tables.Length / CodeTable.Codes;
                var body = new Body(t, channels, x, y);
                Ranges.Run(ref body, context.Inputs[0].Count, channels, CodeTime, context.MaxThreads);
            }
        }
    }

    /// <summary>Nanoseconds.</summary>
    private const double CodeTime = 0.1;

    /// <summary>Parts are whole pixels.</summary>
    private readonly unsafe struct Body(byte* tables, int channels, byte* x, byte* y) : IRangeBody
    {
        public void Run(int from, int to) => CodeLookup.RunByChannel(tables, channels, x + from, y + from, to - from);
    }
}
