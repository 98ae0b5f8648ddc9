using System.Numerics;

namespace MLNet.Quantization.Ops;

// An entry that is picked several times gets all their gradients.
internal sealed partial class Gather : IDifferentiable
{
    public ReadOnlySpan<int> LearnedInputs => [0];

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var (outer, extent, block, indices) = Form(node);
        for (int o = 0; o < outer; o++)
            for (int i = 0; i < indices.Length; i++)
                node.Input(0).Data.AsSpan(((o * extent) + EntryOf(node, indices[i], extent)) * block, block).CopyTo(node.Output().Data.AsSpan(((o * indices.Length) + i) * block));
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.InputGradient(0) is not { } gradient) return;
        var (outer, extent, block, indices) = Form(node);
        for (int o = 0; o < outer; o++)
            for (int i = 0; i < indices.Length; i++)
                Vectors.Add<T>(node.OutputGradient().Data.AsSpan(((o * indices.Length) + i) * block, block), gradient.Data.AsSpan(((o * extent) + EntryOf(node, indices[i], extent)) * block, block));
    }

    private static (int Outer, int Extent, int Block, long[] Indices) Form<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        int[] dims = node.Input(0).Dims;
        int axis = node.Context.Axis(node.Context.Attribute("axis", 0L), dims.Length);
        long[] indices = node.Integers[1]?.Data ?? (long[])(node.State ??= node.Context.Input(1).Value!.ToInt64s());
        return (dims.Take(axis).Aggregate(1, (a, b) => a * b), dims[axis], dims.Skip(axis + 1).Aggregate(1, (a, b) => a * b), indices);
    }

    private static int EntryOf<T>(TapeNode<T> node, long index, int extent) where T : unmanaged, IFloatingPointIeee754<T> =>
        index >= -extent && index < extent ? (int)(index < 0 ? index + extent : index) : throw node.Context.Malformed($"index {index} lies outside the {extent} entries that it picks from");
}
