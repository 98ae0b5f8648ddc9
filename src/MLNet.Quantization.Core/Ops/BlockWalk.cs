namespace MLNet.Quantization.Ops;

/// <summary>Where, in a tensor, the blocks lie to which tuples of coordinates point: GatherND and ScatterND. Immutable.</summary>
internal sealed class BlockWalk
{
    private readonly int[] _extents;
    private readonly int _batch, _perBatch, _blocksOfBatch;

    /// <param name="indices">Extents of the indices; the last one is the coordinates of a tuple.</param>
    /// <param name="data">Extents of the tensor.</param>
    /// <param name="batch">Leading axes that both share.</param>
    public BlockWalk(int[] indices, int[] data, int batch)
    {
        int depth = indices[^1];
        _batch = batch;
        _extents = data[batch..(batch + depth)];
        Block = Product(data.AsSpan(batch + depth));
        Count = Product(indices.AsSpan(0, indices.Length - 1));
        _perBatch = Product(indices.AsSpan(batch, indices.Length - 1 - batch));
        _blocksOfBatch = Product(_extents);
    }

    /// <summary>Elements of a block.</summary>
    public int Block { get; }

    /// <summary>Tuples.</summary>
    public int Count { get; }

    /// <summary>The block that a tuple points to, counted in blocks.</summary>
    public int Start(int tuple, in IndexList indices, OpContext node)
    {
        int at = 0;
        for (int i = 0; i < _extents.Length; i++) at = (at * _extents[i]) + indices.Resolve((tuple * _extents.Length) + i, _extents[i], node, _batch + i);
        return (_perBatch == 0 ? 0 : tuple / _perBatch * _blocksOfBatch) + at;
    }

    private static int Product(ReadOnlySpan<int> dims)
    {
        int product = 1;
        foreach (int d in dims) product *= d;
        return product;
    }
}
