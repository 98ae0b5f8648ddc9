using System.Numerics;

namespace MLNet.Quantization.Ops;

internal sealed partial class Concat : IDifferentiable
{
    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        for (int i = 0, at = 0; i < node.Inputs.Length; i++)
        {
            var (outer, block, whole) = BlocksOf(node, i);
            for (int o = 0; o < outer; o++) node.Input(i).Data.AsSpan(o * block, block).CopyTo(node.Output().Data.AsSpan((o * whole) + at));
            at += block;
        }
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        for (int i = 0, at = 0; i < node.Inputs.Length; i++)
        {
            var (outer, block, whole) = BlocksOf(node, i);
            if (node.InputGradient(i) is { } gradient)
                for (int o = 0; o < outer; o++) Vectors.Add<T>(node.OutputGradient().Data.AsSpan((o * whole) + at, block), gradient.Data.AsSpan(o * block, block));
            at += block;
        }
    }

    /// <summary>How often a block of input <paramref name="i"/> is followed by one of the next, its elements, and those of all blocks together.</summary>
    private static (int Outer, int Block, int Whole) BlocksOf<T>(TapeNode<T> node, int i) where T : unmanaged, IFloatingPointIeee754<T>
    {
        int[] dims = node.Output().Dims;
        int axis = node.Context.Axis(node.Context.Attribute("axis", 0L), dims.Length), inner = dims.Skip(axis + 1).Aggregate(1, (a, b) => a * b);
        return (dims.Take(axis).Aggregate(1, (a, b) => a * b), node.Input(i).Dims[axis] * inner, dims[axis] * inner);
    }
}
