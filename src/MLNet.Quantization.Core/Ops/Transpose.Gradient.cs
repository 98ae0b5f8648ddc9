using System.Numerics;
using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Ops;

internal sealed partial class Transpose : IDifferentiable
{
    /// <param name="There">From x to y.</param>
    /// <param name="Back">From y to x.</param>
    private sealed record Moves(StridedCopy There, StridedCopy Back);

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> =>
        MovementGradient.Run<T>(MovesOf(node).There, node.Input(0).Data, node.Output().Data, node.MaxThreads);

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.InputGradient(0) is not { } gradient) return;
        var moved = node.Scratch(0, gradient.Count);
        MovementGradient.Run(MovesOf(node).Back, node.OutputGradient().Data, moved, node.MaxThreads);
        Vectors.Add(moved, gradient.Data);
    }

    private static Moves MovesOf<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.State is Moves known) return known;
        int[] dims = node.Input(0).Dims, perm = PermutationOf(node.Context, dims.Length), inverse = new int[perm.Length];
        for (int i = 0; i < perm.Length; i++) inverse[perm[i]] = i;
        var moves = new Moves(StridedCopy.Permute(dims, perm, Unsafe.SizeOf<T>()), StridedCopy.Permute(node.Output().Dims, inverse, Unsafe.SizeOf<T>()));
        node.State = moves;
        return moves;
    }
}
