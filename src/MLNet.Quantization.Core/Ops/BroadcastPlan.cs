namespace MLNet.Quantization.Ops;

/// <summary>
/// How two tensors combine under NumPy's broadcasting: runs of elements in which each side either moves along or stands still. Axes that
/// both sides treat alike are one, so equal shapes make a single run. Immutable.
/// </summary>
internal sealed class BroadcastPlan
{
    private readonly int[] _dims;
    private readonly int[] _aStrides;
    private readonly int[] _bStrides;

    public BroadcastPlan(ReadOnlySpan<int> a, ReadOnlySpan<int> b, ReadOnlySpan<int> result)
    {
        int[] aStrides = Strides(a, result.Length), bStrides = Strides(b, result.Length);
        List<int> dims = [], aMerged = [], bMerged = [];
        for (int i = 0; i < result.Length; i++)
        {
            if (result[i] == 1) continue;
            if (dims.Count > 0 && aMerged[^1] == aStrides[i] * result[i] && bMerged[^1] == bStrides[i] * result[i])
            {
                dims[^1] *= result[i];
                (aMerged[^1], bMerged[^1]) = (aStrides[i], bStrides[i]);
                continue;
            }
            dims.Add(result[i]);
            aMerged.Add(aStrides[i]);
            bMerged.Add(bStrides[i]);
        }
        RunLength = dims.Count == 0 ? 1 : dims[^1];
        AMoves = dims.Count == 0 || aMerged[^1] != 0;
        BMoves = dims.Count == 0 || bMerged[^1] != 0;
        _dims = [.. dims.SkipLast(1)];
        _aStrides = [.. aMerged.SkipLast(1)];
        _bStrides = [.. bMerged.SkipLast(1)];
        Runs = 1;
        foreach (int d in _dims) Runs *= d;
        if (RunLength == 0) Runs = 0;
    }

    /// <summary>Elements of one run.</summary>
    public int RunLength { get; }

    public int Runs { get; }

    /// <summary>True where a run reads as many elements of a, false where it reads one for all.</summary>
    public bool AMoves { get; }

    public bool BMoves { get; }

    /// <summary>Consecutive runs, from each multiple of their number on, in which a goes on and b is read again from its start; else 1.</summary>
    public int BRepeats => _dims.Length > 0 && AMoves && BMoves && _bStrides[^1] == 0 && _aStrides[^1] == RunLength ? _dims[^1] : 1;

    /// <summary>Where run <paramref name="run"/> starts in a and in b.</summary>
    public (int A, int B) StartOf(int run)
    {
        int a = 0, b = 0;
        for (int i = _dims.Length - 1; i >= 0; i--)
        {
            (run, int at) = Math.DivRem(run, _dims[i]);
            a += at * _aStrides[i];
            b += at * _bStrides[i];
        }
        return (a, b);
    }

    /// <summary>For each axis of a result of <paramref name="rank"/> axes, the elements of the operand that one step is; 0 where it stands still.</summary>
    public static int[] Strides(ReadOnlySpan<int> dims, int rank)
    {
        var strides = new int[rank];
        int stride = 1;
        for (int i = 1; i <= dims.Length; i++)
        {
            strides[^i] = dims[^i] == 1 ? 0 : stride;
            stride *= dims[^i];
        }
        return strides;
    }
}
