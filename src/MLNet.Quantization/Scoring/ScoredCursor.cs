using System.Runtime.ExceptionServices;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace MLNet.Quantization.Scoring;

/// <summary>
/// One pass over the source, some rows ahead: 8 at first, so that a preview reads few, then twice as many each time. The rows that were
/// read are scored together when the first score of them is asked for.
/// </summary>
internal sealed class ScoredCursor : DataViewRowCursor
{
    private const int FirstRows = 8;

    private readonly BoundModel _bound;
    private readonly DataViewRowCursor _source;
    private readonly bool[] _active;
    private readonly ColumnBuffer?[] _columns;
    private readonly RowBatch _batch;
    private readonly ValueGetter<DataViewRowId> _readId;
    private readonly int _maxRows;
    private DataViewRowId[] _ids = [];
    private long[] _batches = [];
    private int _ahead, _count, _slot = -1;
    private long _position = -1;
    private bool _isScored, _isDone;
    private ExceptionDispatchInfo? _fault;

    public ScoredCursor(BoundModel bound, DataViewRowCursor source, bool[] active, int? threads)
    {
        _bound = bound;
        _source = source;
        _active = active;
        var passed = bound.InputSchema.Where(c => active[c.Index]).ToList();
        _columns = new ColumnBuffer?[bound.InputSchema.Count];
        foreach (var column in passed) _columns[column.Index] = ColumnBuffer.Create(source, column);
        _batch = new RowBatch(bound, source, threads);
        _readId = source.GetIdGetter();
        _maxRows = passed.Any(c => ColumnBuffer.BelongsToSource(c.Type)) ? 1 : bound.MaxBatch;
        _ahead = Math.Min(FirstRows, _maxRows);
    }

    public override DataViewSchema Schema => _bound.OutputSchema;

    public override long Position => _position;

    public override long Batch => _position < 0 ? -1 : _batches[_slot];

    public override bool IsColumnActive(DataViewSchema.Column column) => _active[column.Index];

    public override bool MoveNext()
    {
        if (_isDone) return false;
        if (++_slot >= _count) Fill();
        if (_slot < _count)
        {
            _position++;
            return true;
        }
        _isDone = true;
        _position = -1;
        _fault?.Throw();
        return false;
    }

    /// <summary>A fault of the source is kept until the rows before it have been handed out.</summary>
    private void Fill()
    {
        _count = 0;
        _slot = 0;
        _isScored = false;
        try
        {
            while (_fault is null && _count < _ahead && _source.MoveNext())
            {
                if (_count == _ids.Length)
                {
                    Array.Resize(ref _ids, Math.Max(FirstRows, _count * 2));
                    Array.Resize(ref _batches, _ids.Length);
                }
                foreach (var column in _columns) column?.Read(_count);
                _batch.Read(_count);
                _readId(ref _ids[_count]);
                _batches[_count] = _source.Batch;
                _count++;
            }
        }
        catch (Exception e)
        {
            _fault = ExceptionDispatchInfo.Capture(e);
        }
        _ahead = Math.Min(_ahead * 2, _maxRows);
    }

    private int Slot() => _position < 0 ? throw new InvalidOperationException("The cursor is not on a row.") : _slot;

    private int ScoredSlot()
    {
        int slot = Slot();
        if (!_isScored) _batch.Score(_count);
        _isScored = true;
        return slot;
    }

    public override ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId id) => id = _ids[Slot()];

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        Getters.CheckActive(this, column);
        var getter = _bound.IsAdded(column.Index) ? _batch.Getter(_bound.Added(column.Index), ScoredSlot) : _columns[column.Index]!.Getter(Slot);
        return Getters.As<TValue>(getter, column);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _isDone = true;
            _position = -1;
            _batch.Dispose();
            _source.Dispose();
        }
        base.Dispose(disposing);
    }
}
