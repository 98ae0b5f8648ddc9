using System.Numerics;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Training;

/// <summary>
/// Weights behind the rounding that conversion will do. Inputs: w and, where steps are learned, their logarithms, one or one a channel, whose
/// gradient is scaled by 1 / √(weights of a step · Qp) (Esser et al., 2020, section 2.2).
/// </summary>
internal sealed class FakeQuantizeWeights(WeightSteps steps) : IDifferentiable
{
    public string OpType => "FakeQuantizeWeights";

    public ReadOnlySpan<int> LearnedInputs => [0, 1];

    public ValueFact[] Infer(OpContext context) => [new(ElementType.Float, context.Input(0).Shape)];

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var (w, y) = (node.Input(0).Data, node.Output().Data);
        if (w is float[] singles) steps.Update(singles, node.Has(1) ? (float[])(object)node.Input(1).Data : []);
        var scales = Scales(node);
        foreach (var part in Parts())
            FakeQuantization.Forward<T>(w.AsSpan(part.Start, part.Count), scales.Slice(part.Channel, part.Channels), steps.Grid.Min, steps.Grid.Max, y.AsSpan(part.Start, part.Count));
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var w = node.Input(0).Data;
        var scales = Scales(node);
        var slopes = node.Scratch(1, scales.Length);
        slopes.Clear();
        foreach (var part in Parts())
            FakeQuantization.Backward<T>(
                w.AsSpan(part.Start, part.Count), scales.Slice(part.Channel, part.Channels), steps.Grid.Min, steps.Grid.Max, node.OutputGradient().Data.AsSpan(part.Start, part.Count),
                steps.ClipsGradients, node.InputGradient(0) is { } gradient ? gradient.Data.AsSpan(part.Start, part.Count) : default,
                node.InputGradient(1) is null ? default : slopes.Slice(part.Channel, part.Channels));
        if (node.InputGradient(1) is not { } learned) return;
        T factor = T.CreateChecked(1 / Math.Sqrt(w.Length / (double)scales.Length * steps.Grid.Max));
        for (int i = 0; i < scales.Length; i++) learned.Data[i] += slopes[i] * scales[i] * factor;
    }

    /// <summary>In double, where finite differences move the logarithms, straight from them.</summary>
    private Span<T> Scales<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var scales = node.Scratch(0, steps.Scales.Length);
        for (int i = 0; i < scales.Length; i++)
            scales[i] = typeof(T) == typeof(float) || !node.Has(1) ? T.CreateChecked(steps.Scales[i]) : T.Exp(node.Input(1).Data[i]);
        return scales;
    }

    /// <summary>Runs of weights that have one scale, or one each.</summary>
    private IEnumerable<(int Start, int Count, int Channel, int Channels)> Parts()
    {
        var (outer, channels, inner) = steps.Layout;
        if (steps.Scales.Length == 1)
        {
            yield return (0, outer * channels * inner, 0, 1);
            yield break;
        }
        for (int row = 0; row < outer; row++)
            if (inner == 1) yield return (row * channels, channels, 0, channels);
            else
                for (int c = 0; c < channels; c++) yield return (((row * channels) + c) * inner, inner, c, 1);
    }
}
