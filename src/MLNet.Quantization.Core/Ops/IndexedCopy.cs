using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MLNet.Quantization.Ops;

/// <summary>
/// A copy that reads, along each axis, the source's elements at given indices, or puts a fill value: Pad, and Resize by the nearest
/// element. Axes that keep every element in place are one with what lies inside them. Immutable.
/// </summary>
internal sealed class IndexedCopy
{
    /// <summary>The index that stands for the fill value.</summary>
    public const int Fill = -1;

    /// <param name="Indices">For each place of the result the source's index, or <see cref="Fill"/>.</param>
    /// <param name="SourceBytes">From one element of the source's axis to the next.</param>
    /// <param name="ResultBytes">From one place to the next.</param>
    /// <param name="Block">First place from which on consecutive source elements follow.</param>
    /// <param name="BlockCount">How many of them.</param>
    private sealed record Axis(int[] Indices, int SourceBytes, int ResultBytes, int Block, int BlockCount);

    private readonly Axis[] _axes;
    private readonly int _elementBytes;

    /// <param name="source">Extents of the source.</param>
    /// <param name="indices">By axis.</param>
    /// <param name="elementBytes">1, 2, 4 or 8.</param>
    public IndexedCopy(ReadOnlySpan<int> source, int[][] indices, int elementBytes)
    {
        _elementBytes = elementBytes;
        var axes = new List<Axis>();
        int sourceBytes = elementBytes, resultBytes = elementBytes;
        for (int i = source.Length - 1; i >= 0; i--)
        {
            var (first, count) = LongestRun(indices[i]);
            bool isWhole = axes.Count == 0 && count == source[i] && count == indices[i].Length;
            if (!isWhole) axes.Insert(0, new(indices[i], sourceBytes, resultBytes, first, count));
            sourceBytes = checked(sourceBytes * source[i]);
            resultBytes = checked(resultBytes * indices[i].Length);
        }
        _axes = [.. axes];
    }

    /// <param name="source">All of it.</param>
    /// <param name="fill">One element; not read where no index is <see cref="Fill"/>.</param>
    /// <param name="result">All of it.</param>
    public void Run(ReadOnlySpan<byte> source, ReadOnlySpan<byte> fill, Span<byte> result)
    {
        if (result.IsEmpty) return;
        if (_axes.Length == 0) source.CopyTo(result);
        else Copy(source, fill, result, 0);
    }

    private void Copy(ReadOnlySpan<byte> source, ReadOnlySpan<byte> fill, Span<byte> result, int depth)
    {
        var axis = _axes[depth];
        bool isInner = depth == _axes.Length - 1;
        for (int i = 0; i < axis.Indices.Length; i++)
        {
            if (isInner && i == axis.Block && axis.BlockCount > 0)
            {
                source.Slice(axis.Indices[i] * axis.SourceBytes, axis.BlockCount * axis.SourceBytes).CopyTo(result[(i * axis.ResultBytes)..]);
                i += axis.BlockCount - 1;
                continue;
            }
            int from = axis.Indices[i];
            var to = result.Slice(i * axis.ResultBytes, axis.ResultBytes);
            if (from == Fill) FillWith(fill[.._elementBytes], to);
            else if (i > 0 && from == axis.Indices[i - 1]) result.Slice((i - 1) * axis.ResultBytes, axis.ResultBytes).CopyTo(to);
            else if (isInner) Put(source.Slice(from * axis.SourceBytes, axis.SourceBytes), to);
            else Copy(source.Slice(from * axis.SourceBytes, axis.SourceBytes), fill, to, depth + 1);
        }
    }

    private static void Put(ReadOnlySpan<byte> from, Span<byte> to)
    {
        if (from.Length == 1) to[0] = from[0];
        else if (from.Length == 4) Unsafe.WriteUnaligned(ref to[0], Unsafe.ReadUnaligned<int>(in from[0]));
        else from.CopyTo(to);
    }

    /// <param name="fill">One element of 1, 2, 4 or 8 bytes.</param>
    /// <param name="to">Becomes as many as fit.</param>
    public static void FillWith(ReadOnlySpan<byte> fill, Span<byte> to)
    {
        switch (fill.Length)
        {
            case 1: to.Fill(fill[0]); break;
            case 2: MemoryMarshal.Cast<byte, short>(to).Fill(Unsafe.ReadUnaligned<short>(in fill[0])); break;
            case 4: MemoryMarshal.Cast<byte, int>(to).Fill(Unsafe.ReadUnaligned<int>(in fill[0])); break;
            default: MemoryMarshal.Cast<byte, long>(to).Fill(Unsafe.ReadUnaligned<long>(in fill[0])); break;
        }
    }

    private static (int First, int Count) LongestRun(int[] indices)
    {
        int first = 0, count = 0;
        for (int start = 0, end; start < indices.Length; start = end)
        {
            for (end = start + 1; indices[start] != Fill && end < indices.Length && indices[end] == indices[end - 1] + 1; end++) { }
            if (indices[start] != Fill && end - start > count) (first, count) = (start, end - start);
        }
        return (first, count);
    }
}
