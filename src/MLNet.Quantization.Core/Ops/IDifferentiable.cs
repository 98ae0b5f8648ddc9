using System.Numerics;

namespace MLNet.Quantization.Ops;

/// <summary>
/// An operator that training can go back through. The definitions are the plain ones, generic over the number: float while training,
/// double where a test holds them against finite differences.
/// </summary>
internal interface IDifferentiable
{
    /// <summary>The first output from the inputs.</summary>
    /// <param name="node">The node's attributes.</param>
    /// <param name="inputs">By position; null where omitted.</param>
    /// <param name="output">Of the right shape; overwritten.</param>
    void Forward<T>(OpContext node, ReadOnlySpan<Values<T>?> inputs, Values<T> output) where T : unmanaged, IFloatingPointIeee754<T>;

    /// <summary>The product of the gradient at the output with the Jacobian: adds to each input's gradient.</summary>
    /// <param name="node">The node's attributes.</param>
    /// <param name="inputs">What <see cref="Forward"/> was given.</param>
    /// <param name="outputGradient">∂L/∂y, in the shape of the output.</param>
    /// <param name="inputGradients">∂L/∂x by position, in the shapes of the inputs; null where none is wanted.</param>
    void Backward<T>(OpContext node, ReadOnlySpan<Values<T>?> inputs, Values<T> outputGradient, ReadOnlySpan<Values<T>?> inputGradients) where T : unmanaged, IFloatingPointIeee754<T>;
}

/// <summary>Numbers in a shape, row-major.</summary>
internal sealed class Values<T>(params int[] dims) where T : unmanaged
{
    public int[] Dims { get; } = dims;

    public T[] Data { get; } = new T[dims.Aggregate(1, (product, d) => checked(product * d))];
}
