using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>Indices in an Int64 or Int32 tensor.</summary>
internal readonly ref struct IndexList
{
    private readonly ReadOnlySpan<long> _longs;
    private readonly ReadOnlySpan<int> _ints;

    public IndexList(in TensorView view)
    {
        if (view.Type == ElementType.Int64) _longs = view.Read<long>();
        else _ints = view.Read<int>();
    }

    public long this[int at] => _ints.IsEmpty ? _longs[at] : _ints[at];

    /// <summary>An index of 0 .. extent - 1 from one that may count from the end.</summary>
    /// <exception cref="ModelFormatException">It lies outside.</exception>
    public int Resolve(int at, int extent, OpContext node, int axis) => (int)Resolve(this[at], extent, node, axis);

    /// <summary>The same of one number.</summary>
    /// <exception cref="ModelFormatException">It lies outside.</exception>
    public static long Resolve(long index, long extent, OpContext node, int axis)
    {
        if (index < -extent || index >= extent) throw node.Malformed($"index {index} lies outside the {extent} entries of axis {axis}");
        return index < 0 ? index + extent : index;
    }
}
