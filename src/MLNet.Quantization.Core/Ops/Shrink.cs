using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>x + <c>bias</c> (default 0) below -<c>lambd</c> (default 0.5), x - bias above lambd, 0 between them. Any shape, element-wise, float32.</summary>
internal sealed class Shrink : MapOperator<ShrinkFunction>
{
    public override string OpType => "Shrink";

    protected override ShrinkFunction FunctionOf(OpContext context) => new(context.Attribute("lambd", 0.5f), context.Attribute("bias", 0f));
}
