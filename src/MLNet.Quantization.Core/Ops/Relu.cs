using System.Numerics;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>y = max(x, 0); NaN stays NaN. Any shape, element-wise, float32. The gradient at 0 is 0.</summary>
internal sealed class Relu : MapOperator<ReluFunction>, IDifferentiable
{
    public override string OpType => "Relu";

    protected override ReluFunction FunctionOf(OpContext context) => new();

    public void Forward<T>(OpContext node, ReadOnlySpan<Values<T>?> inputs, Values<T> output) where T : unmanaged, IFloatingPointIeee754<T>
    {
        T[] x = inputs[0]!.Data;
        for (int i = 0; i < x.Length; i++) output.Data[i] = x[i] < T.Zero ? T.Zero : x[i];
    }

    public void Backward<T>(OpContext node, ReadOnlySpan<Values<T>?> inputs, Values<T> outputGradient, ReadOnlySpan<Values<T>?> inputGradients)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (inputGradients[0] is not { } gradient) return;
        T[] x = inputs[0]!.Data;
        for (int i = 0; i < x.Length; i++)
            if (x[i] > T.Zero) gradient.Data[i] += outputGradient.Data[i];
    }
}
