using System.Numerics;
using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Training;

/// <summary>
/// An activation behind the rounding that scoring will do. Inputs: x of any shape and, where the step is learned, its logarithm, one number.
/// <paramref name="value"/> is the position of x among the quantizer's values. The step's gradient is scaled by 1 / √(elements of a row · Qp) (Esser et al., 2020, section 2.2).
/// </summary>
internal sealed class FakeQuantizeActivation(ActivationQuantizer quantizer, int value) : IDifferentiable
{
    public string OpType => "FakeQuantizeActivation";

    public ReadOnlySpan<int> LearnedInputs => [1];

    public ValueFact[] Infer(OpContext context) => [new(ElementType.Float, context.Input(0).Shape)];

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var x = node.Input(0);
        if (x.Data is float[] singles) quantizer.Observe(value, singles);
        var (low, high) = Ends();
        FakeQuantization.Forward<T>(x.Data, [Step(node)], low, high, node.Output().Data);
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var x = node.Input(0);
        var (low, high) = Ends();
        T step = Step(node), slope = T.Zero;
        var wantsStep = node.InputGradient(1);
        FakeQuantization.Backward<T>(
            x.Data, [step], low, high, node.OutputGradient().Data, quantizer.ClipsGradients, node.InputGradient(0) is { } gradient ? gradient.Data : default,
            wantsStep is null ? default : MemoryMarshal.CreateSpan(ref slope, 1));
        // ∂L/∂ log S = S · ∂L/∂S.
        if (wantsStep is not null) wantsStep.Data[0] += slope * step * T.CreateChecked(1 / Math.Sqrt((double)x.Count / Math.Max(1, x.Dims.FirstOrDefault(1)) * Math.Max(high, -low)));
    }

    private (int Low, int High) Ends()
    {
        int zero = quantizer.Current.ZeroPoint;
        return (quantizer.Grid.Min - zero, quantizer.Grid.Max - zero);
    }

    /// <summary>In double, where finite differences move the logarithm, straight from it.</summary>
    private T Step<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> =>
        typeof(T) == typeof(float) || !node.Has(1) ? T.CreateChecked(quantizer.Current.Scale) : T.Exp(node.Input(1).Data[0]);
}
