using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>A tensor that stands in the node.</summary>
internal sealed class Constant : Operator
{
    public override string OpType => "Constant";

    public override ValueFact[] Infer(OpContext context) => [ValueFact.Of(ValueOf(context))];

    public static Tensor ValueOf(OpContext context)
    {
        var attributes = context.Node.Attributes;
        return (attributes.Find("value") ?? attributes.Find("value_float") ?? attributes.Find("value_floats") ?? attributes.Find("value_int") ?? attributes.Find("value_ints")) switch
        {
            Tensor t => t,
            float f => Tensor.Scalar(f),
            long i => Tensor.Scalar(i),
            ImmutableArray<float> fs => Tensor.Create(fs.AsSpan(), fs.Length),
            ImmutableArray<long> ints => Tensor.Create(ints.AsSpan(), ints.Length),
            _ => throw context.Unsupported($"its value is in attributes [{string.Join(", ", attributes.Select(a => a.Key))}], supported: value, value_float, value_floats, value_int, value_ints"),
        };
    }

    public override Step Prepare(PrepareContext context) => new ConstantStep(ValueOf(context));

    private sealed class ConstantStep(Tensor value) : Step
    {
        public override void Run(in StepContext context) => value.Bytes.Span.CopyTo(context.Output<byte>(0));
    }
}
