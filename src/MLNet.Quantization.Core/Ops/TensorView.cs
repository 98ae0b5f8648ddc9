using System.Runtime.CompilerServices;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>Type and concrete extents of a value in one plan.</summary>
internal sealed class TensorLayout
{
    public TensorLayout(ElementType type, ReadOnlySpan<int> dims)
    {
        Type = type;
        Dims = dims.ToArray();
        Shape = TensorShape.FromDims(dims);
        Count = checked((int)Shape.ElementCount);
        // Spans of bytes count with int: what does not fit is refused here, and not cut when it is read.
        ByteCount = checked(Count * type.SizeOf());
    }

    public ElementType Type { get; }

    public int[] Dims { get; }

    public TensorShape Shape { get; }

    public int Count { get; }

    public long ByteCount { get; }

    public int Rank => Dims.Length;

    /// <summary>Product of the extents of axes <paramref name="from"/> (inclusive) to <paramref name="to"/> (exclusive).</summary>
    public int CountOf(int from, int to)
    {
        int count = 1;
        for (int i = from; i < to; i++) count *= Dims[i];
        return count;
    }
}

/// <summary>
/// A value during a run: memory of the run's arena (or of a constant), 64-byte aligned in the arena, row-major. Valid only while the
/// run that handed it out is leased.
/// </summary>
internal readonly unsafe struct TensorView
{
    private readonly byte* _data;

    public TensorView(byte* data, TensorLayout layout, SparseRows? sparse = null)
    {
        _data = data;
        Layout = layout;
        Sparse = sparse;
    }

    /// <summary>Null for an omitted input or output.</summary>
    public TensorLayout? Layout { get; }

    /// <summary>The rows in sparse form, where the caller supplied them so and the step accepts it; the dense memory is then not set.</summary>
    public SparseRows? Sparse { get; }

    public bool IsPresent => Layout is not null;

    public int[] Dims => Layout!.Dims;

    public int Count => Layout!.Count;

    public ElementType Type => Layout!.Type;

    public ReadOnlySpan<T> Read<T>() where T : unmanaged => Write<T>();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Span<T> Write<T>() where T : unmanaged => new(_data, (int)(Layout!.ByteCount / sizeof(T)));

    /// <summary>The first element, in memory that does not move while the view is valid.</summary>
    public byte* Pointer => _data;

    /// <summary>A copy.</summary>
    public Tensor ToTensor() => new(Type, Dims, Read<byte>().ToArray());

    /// <summary>Memory within this value's, from a byte on.</summary>
    public TensorView At(long offset, TensorLayout layout) => new(_data + offset, layout);

    /// <summary>The same memory with another layout of as many bytes.</summary>
    public TensorView As(TensorLayout layout) => new(_data, layout, Sparse);
}
