using System.Collections;
using System.Collections.Immutable;

namespace MLNet.Quantization.Graph;

/// <summary>The shape of a tensor of known rank; single axes may be symbolic or unknown. Immutable, compared by value.</summary>
internal sealed class TensorShape : IReadOnlyList<Dimension>, IEquatable<TensorShape>
{
    private readonly ImmutableArray<Dimension> _dims;

    public TensorShape(params ReadOnlySpan<Dimension> dims) => _dims = [.. dims];

    public static TensorShape Scalar { get; } = new();

    public static TensorShape FromDims(ReadOnlySpan<int> dims)
    {
        var result = new Dimension[dims.Length];
        for (int i = 0; i < dims.Length; i++) result[i] = dims[i];
        return new(result);
    }

    public static TensorShape FromDims(ReadOnlySpan<long> dims)
    {
        var result = new Dimension[dims.Length];
        for (int i = 0; i < dims.Length; i++) result[i] = dims[i];
        return new(result);
    }

    public int Rank => _dims.Length;

    public int Count => _dims.Length;

    public Dimension this[int axis] => _dims[axis];

    public ReadOnlySpan<Dimension> Dims => _dims.AsSpan();

    /// <summary>True where every axis has a number.</summary>
    public bool IsKnown
    {
        get
        {
            foreach (var d in _dims)
                if (!d.IsKnown) return false;
            return true;
        }
    }

    /// <summary>The product of all extents, checked; 1 for a scalar. Only where <see cref="IsKnown"/>.</summary>
    public long ElementCount
    {
        get
        {
            long count = 1;
            foreach (var d in _dims) count = checked(count * d.Value);
            return count;
        }
    }

    /// <summary>The extents as int; only where <see cref="IsKnown"/>.</summary>
    public int[] ToInts()
    {
        var result = new int[Rank];
        for (int i = 0; i < result.Length; i++) result[i] = checked((int)_dims[i].Value);
        return result;
    }

    public bool Equals(TensorShape? other) => other is not null && _dims.AsSpan().SequenceEqual(other._dims.AsSpan());

    public override bool Equals(object? obj) => Equals(obj as TensorShape);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (var d in _dims) hash.Add(d);
        return hash.ToHashCode();
    }

    public override string ToString() => $"[{string.Join(',', _dims)}]";

    public IEnumerator<Dimension> GetEnumerator() => ((IEnumerable<Dimension>)_dims).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
