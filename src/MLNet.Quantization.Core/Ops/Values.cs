namespace MLNet.Quantization.Ops;

/// <summary>Numbers in a shape, row-major: a value, or a gradient, on a tape.</summary>
internal sealed class Values<T>(params int[] dims) where T : unmanaged
{
    public Values(int[] dims, T[] data) : this(dims) => data.CopyTo(Data, 0);

    public int[] Dims { get; } = dims;

    public T[] Data { get; } = new T[dims.Aggregate(1, (product, d) => checked(product * d))];

    public int Count => Data.Length;
}
