namespace MLNet.Quantization.Ops;

/// <summary>Numbers in a shape, row-major: a value, or a gradient, on a tape.</summary>
internal sealed class Values<T> where T : unmanaged
{
    /// <summary>Zeros.</summary>
    public Values(params int[] dims) : this(dims, new T[dims.Aggregate(1, (product, d) => checked(product * d))], 0)
    {
    }

    /// <summary>A copy of numbers.</summary>
    public Values(int[] dims, T[] data) : this(dims) => data.CopyTo(Data, 0);

    private Values(int[] dims, T[] data, int _)
    {
        Dims = dims;
        Data = data;
    }

    /// <summary>A view of memory that others may have at other times.</summary>
    /// <param name="dims">Extents.</param>
    /// <param name="data">Exactly as many elements as the shape.</param>
    public static Values<T> Over(int[] dims, T[] data) => new(dims, data, 0);

    public int[] Dims { get; }

    public T[] Data { get; }

    public int Count => Data.Length;
}
