using Microsoft.ML;

namespace MLNet.Quantization.Scoring;

/// <summary>A data view with a model's outputs added. Lazy: rows are read and scored while a cursor moves.</summary>
internal sealed class ScoredDataView(IDataView source, BoundModel bound) : IDataView
{
    public DataViewSchema Schema => bound.OutputSchema;

    public bool CanShuffle => source.CanShuffle;

    public long? GetRowCount() => source.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        var columns = columnsNeeded.ToList();
        return Wrap(source.GetRowCursor(bound.Dependencies(columns), rand!), Active(columns), threads: null);
    }

    /// <summary>Cursors that run in parallel take one thread each.</summary>
    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null)
    {
        var columns = columnsNeeded.ToList();
        var cursors = source.GetRowCursorSet(bound.Dependencies(columns), n, rand!);
        return Array.ConvertAll(cursors, c => Wrap(c, Active(columns), cursors.Length > 1 ? 1 : null));
    }

    private DataViewRowCursor Wrap(DataViewRowCursor cursor, bool[] active, int? threads) =>
        active.AsSpan(bound.InputSchema.Count).Contains(true)
            ? new ScoredCursor(bound, cursor, active, threads)
            : new PassingCursor(cursor, bound.OutputSchema, active, index => index);

    private bool[] Active(List<DataViewSchema.Column> columns)
    {
        var active = new bool[Schema.Count];
        foreach (var column in columns) active[column.Index] = true;
        return active;
    }
}
