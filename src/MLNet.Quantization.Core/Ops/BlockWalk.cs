namespace MLNet.Quantization.Ops;

/// <summary>Where, in a tensor, the blocks lie to which tuples of coordinates point: GatherND and ScatterND. Immutable.</summary>
internal sealed class BlockWalk
{
    private readonly int[] _extents;
    private readonly int _batch, _perBatch, _blocksOfBatch;

    /// <param name="indices">The last axis holds the coordinates of a tuple.</param>
    /// <param name="data">The tensor.</param>
    /// <param name="batch">Leading axes that both share.</param>
    public BlockWalk(TensorLayout indices, TensorLayout data, int batch)
    {
        int depth = indices.Dims[^1];
        _batch = batch;
        _extents = data.Dims[batch..(batch + depth)];
        Block = data.CountOf(batch + depth, data.Rank);
        Count = indices.CountOf(0, indices.Rank - 1);
        _perBatch = indices.CountOf(batch, indices.Rank - 1);
        _blocksOfBatch = data.CountOf(batch, batch + depth);
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
}
