using System.Numerics;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Training;

/// <summary>A bias rounded to int32 at the scale of the integer sum, Sa · Sw[channel]; the gradient goes straight through. One input, n numbers.</summary>
internal sealed class FakeQuantizeBias(ActivationQuantizer activation, WeightSteps weights) : IDifferentiable
{
    public string OpType => "FakeQuantizeBias";

    public ReadOnlySpan<int> LearnedInputs => [0];

    public ValueFact[] Infer(OpContext context) => [new(ElementType.Float, context.Input(0).Shape)];

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        T[] bias = node.Input(0).Data, y = node.Output().Data;
        float sa = activation.Current.Scale;
        for (int j = 0; j < bias.Length; j++)
        {
            float scale = sa * weights.ScaleOf(j);
            double code = Math.Clamp(Math.Round(double.CreateChecked(bias[j]) / scale, MidpointRounding.ToEven), int.MinValue, int.MaxValue);
            y[j] = T.CreateChecked(scale) * T.CreateChecked(code);
        }
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.InputGradient(0) is { } gradient) Vectors.Add<T>(node.OutputGradient().Data, gradient.Data);
    }
}
