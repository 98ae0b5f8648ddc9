using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>A tensor of a shape, which must follow from shapes and constants, filled with the one element of <c>value</c> (by default a float32 0).</summary>
internal sealed class ConstantOfShape : Operator
{
    public override string OpType => "ConstantOfShape";

    public override ValueFact[] Infer(OpContext context)
    {
        var target = context.Input(0, ElementType.Int64);
        if (target.Shape is { Rank: not 1 }) throw context.Malformed($"input 0 ('{context.Node.Inputs[0]}') has shape {target.Shape}, expected a vector");
        var type = ValueOf(context).Type;
        var entries = target.Value is { } value ? Array.ConvertAll(value.ToInt64s(), ShapeEntry.Of) : ShapeEntry.AllOf(target);
        if (entries is null) return [new(type, null)];
        if (entries.Any(e => e.Number < 0)) throw context.Malformed($"its shape [{string.Join(',', entries.Select(e => e.Number))}] has an extent below 0");
        return [new(type, new TensorShape(Array.ConvertAll(entries, e => e.Number is { } n ? n : e.Extent)))];
    }

    public override Step Prepare(PrepareContext context) => new FillStep(ValueOf(context).Bytes.ToArray());

    private static Tensor ValueOf(OpContext context)
    {
        var value = context.Attribute<Tensor?>("value", null) ?? Tensor.Create([0f], 1);
        return value.Count == 1 && value.Type.SizeOf() > 0 ? value : throw context.Malformed($"value is {value}, expected one element of a fixed size");
    }

    private sealed class FillStep(byte[] element) : Step
    {
        public override bool ReadsAtRun(int input) => false;

        public override void Run(in StepContext context)
        {
            var y = context.Output<byte>(0);
            if (y.IsEmpty) return;
            element.CopyTo(y);
            for (int done = element.Length; done < y.Length; done *= 2) y[..Math.Min(done, y.Length - done)].CopyTo(y[done..]);
        }
    }
}
