using System.Numerics;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>start, start + delta, ... up to limit (excluded): a vector of float32 or integers, whose length follows from constants and shapes.</summary>
internal sealed class RangeOperator : Operator
{
    public override string OpType => "Range";

    public override ValueFact[] Infer(OpContext context)
    {
        var type = context.Input(0, NumberTypes.All).Type;
        for (int i = 0; i < 3; i++)
            if (context.Input(i, type).Shape is { IsKnown: true, ElementCount: not 1 } shape) throw context.Malformed($"input {i} ('{context.Node.Inputs[i]}') has shape {shape}, expected one number");
        if (Number(context.Input(2)) == 0) throw context.Malformed("its step is 0");
        if (Number(context.Input(0)) is not { } start || Number(context.Input(1)) is not { } limit || Number(context.Input(2)) is not { } delta)
        {
            // From 0 by 1 a symbol counts itself.
            bool counts = Number(context.Input(0)) == 0 && Number(context.Input(2)) == 1 && ShapeEntry.AllOf(context.Input(1)) is [{ Number: null, Extent: { Symbol: not null } }];
            return [new(type, new(counts ? ShapeEntry.AllOf(context.Input(1))![0].Extent : Dimension.Unknown))];
        }
        long count = (long)Math.Max(0, Math.Ceiling((limit - start) / delta));
        ValueFact result = new(type, new(count));
        return [type == ElementType.Float || count > int.MaxValue ? result : ShapeEntry.With(result, count > ShapeEntry.MaxCount ? null : [.. Enumerable.Range(0, (int)count).Select(i => ShapeEntry.Of((long)start + (i * (long)delta)))])];
    }

    private static double? Number(ValueFact fact) => fact.Value switch
    {
        null => null,
        { Type: ElementType.Float } v => v.Span<float>()[0],
        { Type: ElementType.Int64 } v => v.Span<long>()[0],
        { Type: ElementType.Int32 } v => v.Span<int>()[0],
        { Type: ElementType.Int16 } v => v.Span<short>()[0],
        { } v => v.Type is ElementType.Int8 ? v.Span<sbyte>()[0] : v.Type is ElementType.UInt8 ? v.Span<byte>()[0] : null,
    };

    public override Step Prepare(PrepareContext context) => new RangeStep();

    private sealed class RangeStep : Step, INumberStep
    {
        public override void Run(in StepContext context) => NumberTypes.Run(context.Inputs[0].Type, this, context);

        public void Numbers<T>(in StepContext context) where T : unmanaged, INumber<T>, IMinMaxValue<T>
        {
            T start = context.Input<T>(0)[0], delta = context.Input<T>(2)[0];
            var y = context.Output<T>(0);
            for (int i = 0; i < y.Length; i++) y[i] = unchecked(start + (T.CreateTruncating(i) * delta));
        }
    }
}
