using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Which scale and zero point belongs to which element of x in QuantizeLinear and DequantizeLinear: one for the tensor, one for each index
/// along an axis, or one for each block of indices along it (opset 21).
/// </summary>
/// <param name="Outer">Elements of x before the axis.</param>
/// <param name="Extent">Indices along the axis.</param>
/// <param name="Inner">Elements after the axis.</param>
/// <param name="Block">Indices that share a scale; 0 where there is one scale for all.</param>
/// <param name="PerElement">True where blocked scales also differ from element to element after the axis.</param>
internal sealed record AxisScales(int Outer, int Extent, int Inner, int Block, bool PerElement)
{
    /// <summary>True where one scale is all there is.</summary>
    public bool IsOne => Block == 0;

    /// <summary>Scales along the axis.</summary>
    private int Steps => (Extent + Block - 1) / Block;

    /// <summary>The position of the scale of element [outer, at, inner].</summary>
    public int IndexOf(int outer, int at, int inner) =>
        Block == 0 ? 0 : PerElement ? (((outer * Steps) + (at / Block)) * Inner) + inner : at;

    /// <summary>Checks scale (input 1) and zero point (input 2) against x (input 0).</summary>
    public static void Check(OpContext context)
    {
        var scale = context.Input(1, ElementType.Float);
        if (context.Optional(2) is { } zero && zero.Shape is { IsKnown: true } z && scale.Shape is { IsKnown: true } s && z.ElementCount != s.ElementCount)
            throw context.Malformed($"scale {s} and zero point {z} have different shapes");
        if (context.Input(0).Shape is { IsKnown: true } x && scale.Shape is { IsKnown: true } known) Of(context, x.ToInts(), known.ToInts());
    }

    public static AxisScales Of(OpContext context, int[] x, int[] scale)
    {
        int count = 1;
        foreach (int d in scale) count *= d;
        if (scale.Length == 0 || count == 1 && scale.Length == 1 && context.Attribute("block_size", 0L) == 0) return new(1, 1, Product(x), 0, false);
        int axis = context.Axis(context.Attribute("axis", 1L), x.Length);
        long size = context.Attribute("block_size", 0L);
        if (size < 0) throw context.Malformed($"block_size is {size}, expected 0 or more");
        // A block that reaches beyond the axis is the whole axis.
        int block = (int)Math.Min(size, Math.Max(x[axis], 1));
        var result = new AxisScales(Product(x[..axis]), x[axis], Product(x[(axis + 1)..]), Math.Max(block, 1), block > 0);
        if (block == 0 && (scale.Length != 1 || count != x[axis]))
            throw context.Malformed($"scale [{string.Join(',', scale)}] does not fit axis {axis} of [{string.Join(',', x)}]");
        int[] blocked = [.. x[..axis], result.Steps, .. x[(axis + 1)..]];
        if (block > 0 && !scale.AsSpan().SequenceEqual(blocked))
            throw context.Malformed($"scale [{string.Join(',', scale)}] does not fit blocks of {size} along axis {axis} of [{string.Join(',', x)}]");
        return result;
    }

    private static int Product(ReadOnlySpan<int> dims)
    {
        int product = 1;
        foreach (int d in dims) product *= d;
        return product;
    }
}
