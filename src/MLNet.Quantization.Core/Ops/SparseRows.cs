namespace MLNet.Quantization.Ops;

/// <summary>
/// A batch of rows of float32 in compressed sparse row form: row r has the values at positions Starts[r] .. Starts[r + 1] - 1, at
/// strictly ascending columns. What is not stored is 0.
/// </summary>
internal sealed class SparseRows
{
    private int[] _starts = [0];
    private int[] _columns = new int[64];
    private float[] _values = new float[64];

    public int RowCount { get; private set; }

    public ReadOnlySpan<int> Starts => _starts.AsSpan(0, RowCount + 1);

    public ReadOnlySpan<int> Columns => _columns.AsSpan(0, _starts[RowCount]);

    public ReadOnlySpan<float> Values => _values.AsSpan(0, _starts[RowCount]);

    public void Clear() => RowCount = 0;

    /// <summary>Keeps the first <paramref name="rows"/> rows.</summary>
    public void Truncate(int rows) => RowCount = Math.Min(RowCount, rows);

    /// <summary>Appends a row. Memory grows to the largest batch seen and is then reused.</summary>
    /// <param name="columns">Strictly ascending.</param>
    /// <param name="values">As many as <paramref name="columns"/>.</param>
    public void Add(ReadOnlySpan<int> columns, ReadOnlySpan<float> values)
    {
        int start = _starts[RowCount], end = checked(start + columns.Length);
        if (end > _columns.Length)
        {
            Array.Resize(ref _columns, Math.Max(end, _columns.Length * 2));
            Array.Resize(ref _values, _columns.Length);
        }
        columns.CopyTo(_columns.AsSpan(start));
        values.CopyTo(_values.AsSpan(start));
        if (RowCount + 2 > _starts.Length) Array.Resize(ref _starts, _starts.Length * 2 + 1);
        _starts[++RowCount] = end;
    }
}
