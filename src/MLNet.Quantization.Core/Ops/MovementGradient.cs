using System.Numerics;
using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;

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

    public static void Run<T>(StridedCopy copy, ReadOnlySpan<T> from, Span<T> to, int maxThreads) where T : unmanaged =>
        copy.Run(MemoryMarshal.AsBytes(from), MemoryMarshal.AsBytes(to), maxThreads);

    /// <summary>Of operators that give each element of an output one of x, or a number that does not follow from it.</summary>
    /// <param name="node">The node.</param>
    /// <param name="op">The operator that scores, which finds out where each element comes from.</param>
    /// <param name="fill">That number.</param>
    public static void Forward<T>(TapeNode<T> node, Operator op, T fill = default) where T : unmanaged, IFloatingPointIeee754<T>
    {
        T[] x = node.Input(0).Data;
        int[][] sources = SourcesOf(node, op);
        for (int o = 0; o < node.Outputs.Length; o++)
            if (node.Outputs[o] is { Data: var y })
                for (int i = 0; i < y.Length; i++) y[i] = sources[o][i] >= 0 ? x[sources[o][i]] : fill;
    }

    /// <inheritdoc cref="Forward"/>
    public static void Backward<T>(TapeNode<T> node, Operator op) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.InputGradient(0) is not { } gradient) return;
        int[][] sources = SourcesOf(node, op);
        for (int o = 0; o < node.OutputGradients.Length; o++)
            if (node.OutputGradients[o] is { Data: var g })
                for (int i = 0; i < g.Length; i++)
                    if (sources[o][i] >= 0) gradient.Data[sources[o][i]] += g[i];
    }

    /// <summary>
    /// For each element of each output the element of x that it is, or -1: what the operator makes of the numbers 1, 2, ... as bits in place of
    /// floats, which it only moves.
    /// </summary>
    private static int[][] SourcesOf<T>(TapeNode<T> node, Operator op) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.State is int[][] known) return known;
        float[] numbers = [.. Enumerable.Range(1, node.Input(0).Count).Select(BitConverter.Int32BitsToSingle)];
        ValueFact?[] inputs = [.. node.Context.Inputs.Select((f, i) => i == 0 ? ValueFact.Of(Tensor.Create(numbers, node.Input(0).Dims)) : f is { Type: ElementType.Float } ? null : f)];
        var moved = Evaluator.Evaluate(op, new OpContext(node.Context.Node, node.Context.Opset, [.. inputs]));
        int[][] sources = [.. moved.Select(t => Array.ConvertAll(t.Span<float>().ToArray(), v => BitConverter.SingleToInt32Bits(v) - 1))];
        node.State = sources;
        return sources;
    }
}
