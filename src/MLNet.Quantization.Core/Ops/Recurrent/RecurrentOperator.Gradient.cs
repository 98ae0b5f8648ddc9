using System.Numerics;

namespace MLNet.Quantization.Ops.Recurrent;

internal sealed partial class RecurrentOperator : IDifferentiable
{
    private readonly RecurrentGradient _gradient = new(cell, roundsState: false);

    public ReadOnlySpan<int> LearnedInputs => _gradient.LearnedInputs;

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => _gradient.Forward(node);

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => _gradient.Backward(node);
}
