using Microsoft.ML;
using Microsoft.ML.Data;
using MLNet.Quantization.Scoring;

namespace MLNet.Quantization.Calibration;

/// <summary>A data view with one of its columns shown once more, under the same name, as the last one.</summary>
internal sealed class RepublishedDataView(IDataView source, DataViewSchema schema, int republished) : IDataView
{
    public DataViewSchema Schema => schema;

    public bool CanShuffle => source.CanShuffle;

    public long? GetRowCount() => source.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        var columns = columnsNeeded.ToList();
        return Wrap(source.GetRowCursor(Sources(source.Schema, columns, republished), rand!), columns);
    }

    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null)
    {
        var columns = columnsNeeded.ToList();
        return Array.ConvertAll(source.GetRowCursorSet(Sources(source.Schema, columns, republished), n, rand!), c => Wrap(c, columns));
    }

    private DataViewRowCursor Wrap(DataViewRowCursor cursor, List<DataViewSchema.Column> columns)
    {
        var active = new bool[schema.Count];
        foreach (var column in columns) active[column.Index] = true;
        return new PassingCursor(cursor, schema, active, index => SourceOf(index, source.Schema, republished));
    }

    /// <summary>The source's column behind a column of the schema.</summary>
    public static int SourceOf(int column, DataViewSchema source, int republished) => column < source.Count ? column : republished;

    public static IEnumerable<DataViewSchema.Column> Sources(DataViewSchema source, IEnumerable<DataViewSchema.Column> columns, int republished) =>
        columns.Select(c => SourceOf(c.Index, source, republished)).Distinct().Order().Select(i => source[i]);
}

/// <summary>The same row by row, for prediction engines.</summary>
internal sealed class RepublishedRowMapper(DataViewSchema input, DataViewSchema output, int republished) : IRowToRowMapper
{
    public DataViewSchema InputSchema => input;

    public DataViewSchema OutputSchema => output;

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns) =>
        RepublishedDataView.Sources(input, dependingColumns, republished);

    public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns) =>
        new Row(input, output, republished, activeColumns.Select(c => c.Index).ToHashSet());

    private sealed class Row(DataViewRow source, DataViewSchema schema, int republished, HashSet<int> active) : DataViewRow
    {
        public override DataViewSchema Schema => schema;

        public override long Position => source.Position;

        public override long Batch => source.Batch;

        public override ValueGetter<DataViewRowId> GetIdGetter() => source.GetIdGetter();

        public override bool IsColumnActive(DataViewSchema.Column column) => active.Contains(column.Index);

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
        {
            Getters.CheckActive(this, column);
            return source.GetGetter<TValue>(source.Schema[RepublishedDataView.SourceOf(column.Index, source.Schema, republished)]);
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing) source.Dispose();
            base.Dispose(disposing);
        }
    }
}
