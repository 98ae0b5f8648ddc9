using System.Runtime.InteropServices;

namespace MLNet.Quantization.Graph;

/// <summary>A constant: element type, extents and row-major little-endian data. Immutable by agreement.</summary>
internal sealed class Tensor
{
    private readonly ReadOnlyMemory<byte> _data;

    /// <param name="type">A type of fixed size.</param>
    /// <param name="dims">Extents, 0 or more each.</param>
    /// <param name="data">Exactly product(dims) elements.</param>
    public Tensor(ElementType type, ReadOnlySpan<int> dims, ReadOnlyMemory<byte> data)
    {
        Type = type;
        Dims = dims.ToArray();
        Count = checked((int)CountOf(dims));
        _data = data;
        long bytes = (long)Count * type.SizeOf();
        if (type.SizeOf() == 0 || bytes != data.Length)
            throw new ArgumentException($"A {type} tensor of shape [{string.Join(',', Dims)}] takes {bytes} bytes, not {data.Length}.", nameof(data));
    }

    public static Tensor Create<T>(ReadOnlySpan<T> values, params ReadOnlySpan<int> dims) where T : unmanaged =>
        new(ElementTypes.Of<T>(), dims, MemoryMarshal.AsBytes(values).ToArray());

    public static Tensor Create<T>(T[] values, params ReadOnlySpan<int> dims) where T : unmanaged => Create((ReadOnlySpan<T>)values, dims);

    public static Tensor Scalar<T>(T value) where T : unmanaged => Create([value], []);

    public ElementType Type { get; }

    public int[] Dims { get; }

    public int Rank => Dims.Length;

    /// <summary>Number of elements.</summary>
    public int Count { get; }

    public ReadOnlyMemory<byte> Bytes => _data;

    public TensorShape Shape => TensorShape.FromDims(Dims);

    /// <summary>The elements; <typeparamref name="T"/> must be how <see cref="Type"/> is stored.</summary>
    public ReadOnlySpan<T> Span<T>() where T : unmanaged
    {
        if (ElementTypes.Of<T>() != Type) throw new InvalidOperationException($"A {Type} tensor was read as {typeof(T)}.");
        return MemoryMarshal.Cast<byte, T>(_data.Span);
    }

    /// <summary>The elements of an Int64, Int32 or Bool tensor as long.</summary>
    public long[] ToInt64s() => Type switch
    {
        ElementType.Int64 => Span<long>().ToArray(),
        ElementType.Int32 => Array.ConvertAll(Span<int>().ToArray(), x => (long)x),
        ElementType.Bool => Array.ConvertAll(Span<bool>().ToArray(), x => x ? 1L : 0L),
        _ => throw new InvalidOperationException($"A {Type} tensor was read as integers."),
    };

    private static long CountOf(ReadOnlySpan<int> dims)
    {
        long count = 1;
        foreach (int d in dims) count = checked(count * d);
        return count;
    }

    public override string ToString() => $"{Type}[{string.Join(',', Dims)}]";
}
