using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = ln x. Any shape, element-wise, float32.</summary>
internal sealed partial class Log : MapOperator<LogFunction>
{
    public override string OpType => "Log";

    protected override LogFunction FunctionOf(OpContext context) => default;
}
