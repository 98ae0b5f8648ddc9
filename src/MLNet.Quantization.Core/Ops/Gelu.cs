using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = x / 2 · (1 + erf(x / √2)), or with <c>approximate</c> "tanh" x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 · x³))). Any shape, element-wise, float32.</summary>
internal sealed partial class Gelu : MapOperator<GeluFunction>
{
    public override string OpType => "Gelu";

    protected override GeluFunction FunctionOf(OpContext context) => new(IsByTanh(context));

    private static bool IsByTanh(OpContext context) => context.Attribute("approximate", "none") switch
    {
        "none" => false,
        "tanh" => true,
        var other => throw context.Malformed($"approximate is '{other}', expected 'none' or 'tanh'"),
    };
}
