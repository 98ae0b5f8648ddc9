using System.Numerics;
using System.Runtime.InteropServices;

namespace MLNet.Quantization.Ops;

/// <summary>Gradients of operators that only move numbers: each goes back to where it came from.</summary>
internal static class MovementGradient
{
    /// <summary>The same numbers under another shape.</summary>
    public static void CopyForward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => node.Input(0).Data.CopyTo(node.Output().Data, 0);

    public static void CopyBackward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.InputGradient(0) is { } gradient) Vectors.Add<T>(node.OutputGradient().Data, gradient.Data);
    }

    public static void Run<T>(StridedCopy copy, ReadOnlySpan<T> from, Span<T> to) where T : unmanaged => copy.Run(MemoryMarshal.AsBytes(from), MemoryMarshal.AsBytes(to));
}
