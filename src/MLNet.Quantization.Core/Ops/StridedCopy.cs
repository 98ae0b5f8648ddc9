using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// A copy that reads with any stride an axis and writes row by row: Transpose, Slice. Axes that lie together on both sides are one, and
/// what lies together at the end is copied as a block. Immutable.
/// </summary>
internal sealed class StridedCopy
{
    /// <summary>Longer blocks are copied by the runtime, at a call each.</summary>
    private const int MostVectorBytes = 256;

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

    /// <param name="source">All of it.</param>
    /// <param name="result">All of it.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public unsafe void Run(ReadOnlySpan<byte> source, Span<byte> result, int maxThreads)
    {
        if (result.IsEmpty) return;
        if (_dims.Length == 0)
        {
            source.Slice((int)_start, _block).CopyTo(result);
            return;
        }
        // Where the first axis is short, threads share the first two, unless both end in the same loop.
        int lead = _dims[0] < ShortAxis && _dims.Length > 2 && !IsTransposed(1) ? 2 : 1, rows = lead == 2 ? _dims[0] * _dims[1] : _dims[0];
        fixed (byte* from = source, to = result)
        {
            var body = new Body(this, from, source.Length, to, result.Length, lead, result.Length / rows);
            Ranges.Run(ref body, rows, lead == 1 && IsTransposed(0) ? TransposedUnit : 1, ByteTime * result.Length / rows, maxThreads);
        }
    }

    private const int ShortAxis = 16;

    /// <summary>Rows of a transposed matrix that make whole tiles.</summary>
    private const int TransposedUnit = 16;

    /// <summary>Nanoseconds.</summary>
    private const double ByteTime = 0.1;

    /// <summary>A range is some of the first axis, or of the first two taken as one.</summary>
    private readonly unsafe struct Body(StridedCopy copy, byte* source, int sourceBytes, byte* result, int resultBytes, int lead, int rowBytes) : IRangeBody
    {
        public void Run(int from, int to)
        {
            ReadOnlySpan<byte> source1 = new(source, sourceBytes);
            Span<byte> to1 = new(result, resultBytes);
            int written = from * rowBytes;
            if (lead == 1)
            {
                copy.Copy(source1, to1, 0, to - from, copy._start + (from * copy._strides[0]), ref written);
                return;
            }
            for (int row = from; row < to; row++)
            {
                var (first, second) = Math.DivRem(row, copy._dims[1]);
                copy.Copy(source1, to1, 2, copy.ExtentOf(2), copy._start + (first * copy._strides[0]) + (second * copy._strides[1]), ref written);
            }
        }
    }

    private int ExtentOf(int axis) => axis < _dims.Length ? _dims[axis] : 1;

    /// <param name="source">All of it.</param>
    /// <param name="result">All of it.</param>
    /// <param name="axis">The axes before it are at <paramref name="at"/>.</param>
    /// <param name="count">Of the axis, so many are copied.</param>
    /// <param name="at">Byte of the source.</param>
    /// <param name="written">Byte of the result, which is moved on.</param>
    private void Copy(ReadOnlySpan<byte> source, Span<byte> result, int axis, int count, long at, ref int written)
    {
        if (axis == _dims.Length)
        {
            source.Slice((int)at, _block).CopyTo(result[written..]);
            written += _block;
            return;
        }
        if (IsTransposed(axis))
        {
            CopyTransposed(source, result, axis, count, at, ref written);
            return;
        }
        if (axis == _dims.Length - 1)
        {
            var to = result.Slice(written, count * _block);
            written += to.Length;
            if (_block <= 8) CopyElements(source, to, at, _strides[axis]);
            else CopyBlocks(source, to, at, _strides[axis]);
            return;
        }
        for (int i = 0; i < count; i++, at += _strides[axis]) Copy(source, result, axis + 1, ExtentOf(axis + 1), at, ref written);
    }

    /// <summary>True where this axis and the last one behind it are rows and columns of the source the other way round, of single elements.</summary>
    private bool IsTransposed(int axis) => axis == _dims.Length - 2 && _block is 1 or 4 && _strides[axis] == _block && _strides[axis + 1] >= _dims[axis] * (long)_block;

    private unsafe void CopyTransposed(ReadOnlySpan<byte> source, Span<byte> result, int axis, int columns, long at, ref int written)
    {
        int rows = _dims[axis + 1];
        long stride = _strides[axis + 1];
        var to = result.Slice(written, columns * rows * _block);
        written += to.Length;
        // Up to the end of the last row, and no further.
        var from = source.Slice((int)at, (int)(((rows - 1) * stride) + ((long)columns * _block)));
        fixed (byte* f = from, t = to)
        {
            if (_block == 1) ByteTranspose.Run(f, rows, columns, stride, t, rows);
            else ElementTranspose.Run((int*)f, rows, columns, stride / sizeof(int), (int*)t);
        }
    }

    private void CopyElements(ReadOnlySpan<byte> source, Span<byte> to, long at, long stride)
    {
        switch (_block)
        {
            case 1: Gather(source, to, at, stride); break;
            case 2: Gather(source, MemoryMarshal.Cast<byte, short>(to), at, stride); break;
            case 4: Gather(source, MemoryMarshal.Cast<byte, int>(to), at, stride); break;
            case 8: Gather(source, MemoryMarshal.Cast<byte, long>(to), at, stride); break;
            default: CopyBlocks(source, to, at, stride); break;
        }
    }

    /// <summary>The heads of an attention layer are blocks of a vector or a few: bounds are checked once for all of them.</summary>
    private unsafe void CopyBlocks(ReadOnlySpan<byte> source, Span<byte> to, long at, long stride)
    {
        int count = to.Length / _block;
        long last = at + ((count - 1) * stride), low = Math.Min(at, last);
        fixed (byte* f = source.Slice((int)low, (int)(Math.Max(at, last) - low) + _block), t = to)
        {
            byte* from = f + (at - low);
            int i = 0;
            if (_block % Vector128<byte>.Count == 0 && _block <= MostVectorBytes)
            {
                for (; i < count; i++, from += stride)
                    for (int j = 0; j < _block; j += Vector128<byte>.Count) Vector128.Load(from + j).Store(t + ((long)i * _block) + j);
            }
            for (; i < count; i++, from += stride) Unsafe.CopyBlockUnaligned(t + ((long)i * _block), from, (uint)_block);
        }
    }

    private static void Gather<T>(ReadOnlySpan<byte> source, Span<T> to, long at, long stride) where T : unmanaged
    {
        for (int i = 0; i < to.Length; i++, at += stride) to[i] = Unsafe.ReadUnaligned<T>(in source[(int)at]);
    }
}
