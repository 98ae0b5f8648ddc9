using System.Collections.Immutable;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>
/// A stack of matrices within a tensor that was to be transposed first: where each starts, and how far its rows, or its columns, lie
/// apart. Immutable.
/// </summary>
internal sealed class HeadLayout
{
    private readonly int[] _outer;
    private readonly long[] _outerStrides;

    /// <param name="outer">Extents of the stack.</param>
    /// <param name="outerStrides">Elements from one matrix to the next along each.</param>
    /// <param name="rowStride">Elements from one row to the next.</param>
    /// <param name="columnStride">Elements from one column to the next.</param>
    private HeadLayout(int[] outer, long[] outerStrides, long rowStride, long columnStride)
    {
        (_outer, _outerStrides) = (outer, outerStrides);
        IsTransposed = columnStride != 1;
        Stride = IsTransposed ? columnStride : rowStride;
    }

    /// <summary>Elements from one line to the next.</summary>
    public long Stride { get; }

    /// <summary>True where a line is a column.</summary>
    public bool IsTransposed { get; }

    /// <summary>The stack that Transpose by <paramref name="perm"/> would make of a tensor.</summary>
    public static HeadLayout Before(ReadOnlySpan<int> dims, int[] perm)
    {
        var strides = StridedCopy.RowMajor(dims);
        int[] turned = Permuted(dims.ToArray(), perm);
        return new(turned[..^2], [.. perm[..^2].Select(p => strides[p])], strides[perm[^2]], strides[perm[^1]]);
    }

    /// <summary>The stack that Transpose by <paramref name="perm"/> would turn into a tensor of these extents.</summary>
    public static HeadLayout Behind(ReadOnlySpan<int> dims, int[] perm)
    {
        int[] back = new int[perm.Length];
        for (int i = 0; i < perm.Length; i++) back[perm[i]] = i;
        return Before(dims, back);
    }

    public static T[] Permuted<T>(T[] dims, int[] perm) => Array.ConvertAll(perm, p => dims[p]);

    /// <summary>The attribute, or the order as it is.</summary>
    public static int[] Perm(OpContext context, string name, int rank)
    {
        var perm = context.Attribute(name, ImmutableArray<long>.Empty);
        return perm.IsEmpty ? [.. Enumerable.Range(0, rank)] : [.. perm.Select(p => (int)p)];
    }

    /// <summary>The element that matrix <paramref name="index"/> starts at.</summary>
    public long StartOf(int index)
    {
        long at = 0;
        for (int i = _outer.Length - 1; i >= 0; i--)
        {
            (index, int along) = Math.DivRem(index, _outer[i]);
            at += along * _outerStrides[i];
        }
        return at;
    }
}
