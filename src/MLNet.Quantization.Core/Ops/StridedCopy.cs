using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// A copy that reads with any stride an axis and writes row by row: Transpose, Slice. Axes that lie together on both sides are one, and
/// what lies together at the end is copied as a block. Immutable.
/// </summary>
internal sealed class StridedCopy
{
    private readonly int[] _dims;
    private readonly long[] _strides;
    private readonly long _start;
    private readonly int _block;

    /// <param name="dims">Extents of the result.</param>
    /// <param name="strides">For each axis of the result, how many elements of the source one step is; may be negative.</param>
    /// <param name="start">The source's element at the result's origin.</param>
    /// <param name="elementBytes">1, 2, 4 or 8.</param>
    public StridedCopy(ReadOnlySpan<int> dims, ReadOnlySpan<long> strides, long start, int elementBytes)
    {
        var mergedDims = new List<int>();
        var mergedStrides = new List<long>();
        for (int i = 0; i < dims.Length; i++)
        {
            if (dims[i] == 1) continue;
            if (mergedDims.Count > 0 && mergedStrides[^1] == strides[i] * dims[i])
            {
                mergedDims[^1] *= dims[i];
                mergedStrides[^1] = strides[i];
            }
            else
            {
                mergedDims.Add(dims[i]);
                mergedStrides.Add(strides[i]);
            }
        }
        _block = elementBytes;
        if (mergedDims.Count > 0 && mergedStrides[^1] == 1)
        {
            _block *= mergedDims[^1];
            mergedDims.RemoveAt(mergedDims.Count - 1);
            mergedStrides.RemoveAt(mergedStrides.Count - 1);
        }
        _dims = [.. mergedDims];
        _strides = [.. mergedStrides.Select(s => s * elementBytes)];
        _start = start * elementBytes;
    }

    /// <summary>The copy whose result's axis i is the source's axis perm[i].</summary>
    public static StridedCopy Permute(ReadOnlySpan<int> sourceDims, ReadOnlySpan<int> perm, int elementBytes)
    {
        var sourceStrides = RowMajor(sourceDims);
        var dims = new int[perm.Length];
        var strides = new long[perm.Length];
        for (int i = 0; i < perm.Length; i++) (dims[i], strides[i]) = (sourceDims[perm[i]], sourceStrides[perm[i]]);
        return new(dims, strides, 0, elementBytes);
    }

    /// <summary>Elements that one step along each axis is, in row-major order.</summary>
    public static long[] RowMajor(ReadOnlySpan<int> dims)
    {
        var strides = new long[dims.Length];
        long stride = 1;
        for (int i = dims.Length - 1; i >= 0; i--)
        {
            strides[i] = stride;
            stride *= dims[i];
        }
        return strides;
    }

    public void Run(ReadOnlySpan<byte> source, Span<byte> result)
    {
        if (result.IsEmpty) return;
        int written = 0;
        Copy(source, result, 0, _start, ref written);
    }

    private void Copy(ReadOnlySpan<byte> source, Span<byte> result, int axis, long at, ref int written)
    {
        if (axis == _dims.Length)
        {
            source.Slice((int)at, _block).CopyTo(result[written..]);
            written += _block;
            return;
        }
        if (axis == _dims.Length - 2 && IsTransposed(axis))
        {
            CopyTransposed(source, result, axis, at, ref written);
            return;
        }
        if (axis == _dims.Length - 1 && _block <= 8)
        {
            CopyElements(source, result, axis, at, ref written);
            return;
        }
        for (int i = 0; i < _dims[axis]; i++, at += _strides[axis]) Copy(source, result, axis + 1, at, ref written);
    }

    /// <summary>True where the last two axes are rows and columns of the source the other way round, of single elements.</summary>
    private bool IsTransposed(int axis) => _block is 1 or 4 && _strides[axis] == _block && _strides[axis + 1] >= _dims[axis] * (long)_block;

    private unsafe void CopyTransposed(ReadOnlySpan<byte> source, Span<byte> result, int axis, long at, ref int written)
    {
        int columns = _dims[axis], rows = _dims[axis + 1];
        long stride = _strides[axis + 1];
        var to = result.Slice(written, columns * rows * _block);
        written += to.Length;
        // Up to the end of the last row, and no further.
        var from = source.Slice((int)at, (int)(((rows - 1) * stride) + ((long)columns * _block)));
        fixed (byte* f = from, t = to)
        {
            if (_block == 1) ByteTranspose.Run(f, rows, columns, stride, t, rows);
            else TransposeByTiles((int*)f, rows, columns, stride / sizeof(int), (int*)t);
        }
    }

    /// <summary>Tiles keep the lines that are read and written in the first-level cache.</summary>
    private static unsafe void TransposeByTiles(int* from, int rows, int columns, long stride, int* to)
    {
        const int Tile = 16;
        for (int c0 = 0; c0 < columns; c0 += Tile)
            for (int r0 = 0; r0 < rows; r0 += Tile)
            {
                int rowEnd = Math.Min(rows, r0 + Tile), columnEnd = Math.Min(columns, c0 + Tile);
                for (int c = c0; c < columnEnd; c++)
                    for (int r = r0; r < rowEnd; r++) to[((long)c * rows) + r] = from[(r * stride) + c];
            }
    }

    private void CopyElements(ReadOnlySpan<byte> source, Span<byte> result, int axis, long at, ref int written)
    {
        var to = result.Slice(written, _dims[axis] * _block);
        written += to.Length;
        switch (_block)
        {
            case 1: Gather(source, to, at, _strides[axis]); break;
            case 2: Gather(source, MemoryMarshal.Cast<byte, short>(to), at, _strides[axis]); break;
            case 4: Gather(source, MemoryMarshal.Cast<byte, int>(to), at, _strides[axis]); break;
            case 8: Gather(source, MemoryMarshal.Cast<byte, long>(to), at, _strides[axis]); break;
            default:
                for (int i = 0; i < _dims[axis]; i++, at += _strides[axis]) source.Slice((int)at, _block).CopyTo(to[(i * _block)..]);
                break;
        }
    }

    private static void Gather<T>(ReadOnlySpan<byte> source, Span<T> to, long at, long stride) where T : unmanaged
    {
        for (int i = 0; i < to.Length; i++, at += stride) to[i] = Unsafe.ReadUnaligned<T>(in source[(int)at]);
    }
}
