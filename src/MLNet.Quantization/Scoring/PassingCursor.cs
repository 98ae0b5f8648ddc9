using Microsoft.ML;
using Microsoft.ML.Data;

namespace MLNet.Quantization.Scoring;

/// <summary>The source's rows under another schema: nothing is read ahead or computed.</summary>
/// <param name="source">The rows.</param>
/// <param name="schema">The schema to show.</param>
/// <param name="active">By column of that schema.</param>
/// <param name="sourceColumn">The source's column for a column of that schema.</param>
internal sealed class PassingCursor(DataViewRowCursor source, DataViewSchema schema, bool[] active, Func<int, int> sourceColumn) : DataViewRowCursor
{
    public override DataViewSchema Schema => schema;

    public override long Position => source.Position;

    public override long Batch => source.Batch;

    public override bool MoveNext() => source.MoveNext();

    public override ValueGetter<DataViewRowId> GetIdGetter() => source.GetIdGetter();

    public override bool IsColumnActive(DataViewSchema.Column column) => active[column.Index];

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        Getters.CheckActive(this, column);
        return source.GetGetter<TValue>(source.Schema[sourceColumn(column.Index)]);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) source.Dispose();
        base.Dispose(disposing);
    }
}
