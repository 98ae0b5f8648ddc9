using System.Numerics;

namespace MLNet.Quantization.Ops;

/// <summary>
/// An operator that training can go back through. Both directions are generic over the number: float while training, double where a test
/// holds them against finite differences. An <see cref="Operator"/> implements it in a file of its own, X.Gradient.cs.
/// </summary>
internal interface IDifferentiable
{
    string OpType { get; }

    /// <inheritdoc cref="Operator.Infer"/>
    ValueFact[] Infer(OpContext context);

    /// <summary>Positions of inputs that are learned where they are constants of the model: weights, biases, tables.</summary>
    ReadOnlySpan<int> LearnedInputs => [];

    /// <summary>Whether <see cref="Backward"/> overwrites the gradient of input 0 where <see cref="TapeNode{T}.IsFresh"/> says so: else the tape clears it before.</summary>
    bool Overwrites => false;

    /// <summary>Overwrites every output that is not omitted. May leave in <see cref="TapeNode{T}.State"/> and scratch what the way back needs.</summary>
    void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>;

    /// <summary>
    /// The product of the gradients at the outputs with the Jacobian: adds to the gradient of each input that wants one. Called after
    /// <see cref="Forward"/> on the same node; inputs and outputs are as that left them.
    /// </summary>
    void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>;
}
