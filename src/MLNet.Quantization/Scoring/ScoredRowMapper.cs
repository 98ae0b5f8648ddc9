using Microsoft.ML;
using Microsoft.ML.Data;

namespace MLNet.Quantization.Scoring;

/// <summary>Row by row, for prediction engines: a row is scored when its first score is asked for.</summary>
internal sealed class ScoredRowMapper(BoundModel bound) : IRowToRowMapper
{
    public DataViewSchema InputSchema => bound.InputSchema;

    public DataViewSchema OutputSchema => bound.OutputSchema;

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns) => bound.Dependencies(dependingColumns);

    public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns)
    {
        if (input.Schema != InputSchema) throw new ArgumentException("The row has another schema than the mapper was made for.", nameof(input));
        return new Row(bound, input, activeColumns.Select(c => c.Index).ToHashSet());
    }

    private sealed class Row : DataViewRow
    {
        private readonly BoundModel _bound;
        private readonly DataViewRow _input;
        private readonly HashSet<int> _active;
        private readonly RowBatch? _batch;
        private long _scored = -1;

        public Row(BoundModel bound, DataViewRow input, HashSet<int> active)
        {
            _bound = bound;
            _input = input;
            _active = active;
            _batch = active.Any(bound.IsAdded) ? new RowBatch(bound, input, threads: null) : null;
        }

        public override DataViewSchema Schema => _bound.OutputSchema;

        public override long Position => _input.Position;

        public override long Batch => _input.Batch;

        public override ValueGetter<DataViewRowId> GetIdGetter() => _input.GetIdGetter();

        public override bool IsColumnActive(DataViewSchema.Column column) => _active.Contains(column.Index);

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
        {
            Getters.CheckActive(this, column);
            return _bound.IsAdded(column.Index)
                ? Getters.As<TValue>(_batch!.Getter(_bound.Added(column.Index), ScoredSlot), column)
                : _input.GetGetter<TValue>(_input.Schema[column.Index]);
        }

        private int ScoredSlot()
        {
            if (_scored == _input.Position && _scored >= 0) return 0;
            _batch!.Read(0);
            _batch.Score(1);
            _scored = _input.Position;
            return 0;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                _batch?.Dispose();
                _input.Dispose();
            }
            base.Dispose(disposing);
        }
    }
}
