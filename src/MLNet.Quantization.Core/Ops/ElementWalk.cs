namespace MLNet.Quantization.Ops;

/// <summary>Where, in a tensor, the places of a smaller one lie when their coordinate along one axis is replaced: GatherElements and ScatterElements. Immutable.</summary>
/// <param name="places">Extents of the indices.</param>
/// <param name="data">Extents of the tensor that they point into.</param>
/// <param name="axis">Whose coordinate is replaced.</param>
internal sealed class ElementWalk(int[] places, int[] data, int axis)
{
    private readonly long[] _strides = StridedCopy.RowMajor(data);

    public int Axis => axis;

    /// <summary>Of the axis.</summary>
    public int Extent => data[axis];

    /// <summary>The element of the tensor.</summary>
    /// <param name="place">Number of the place, row-major.</param>
    /// <param name="index">Its coordinate along the axis.</param>
    public int Place(int place, int index)
    {
        long at = index * _strides[axis];
        for (int i = places.Length - 1; i >= 0; i--)
        {
            (place, int coordinate) = Math.DivRem(place, places[i]);
            if (i != axis) at += coordinate * _strides[i];
        }
        return (int)at;
    }
}
