using System.Numerics;
using System.Reflection;
using System.Runtime.InteropServices;
using Microsoft.ML;
using Microsoft.ML.Data;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Scoring;

/// <summary>Takes the rows of one column, one by one, and hands a batch of them to a run. Belongs to one cursor.</summary>
internal abstract class InputReader
{
    /// <summary>Takes the source's current row as row <paramref name="slot"/> of the batch; slots ascend from 0.</summary>
    public abstract void Read(int slot);

    /// <summary>Puts the first <paramref name="count"/> rows into a run's input and clears the rest.</summary>
    public abstract void Load(ProgramRun run, int index, int count);

    /// <summary>The dense rows taken so far, one behind the other: an array of the input's element type, which may be longer.</summary>
    public abstract Array Rows { get; }

    /// <param name="input">What to read.</param>
    /// <param name="source">The cursor or row to read from; the column must be active.</param>
    /// <param name="acceptsSparse">True where the run takes this input in sparse form.</param>
    public static InputReader Create(BoundInput input, DataViewRow source, bool acceptsSparse)
    {
        var item = (input.Column.Type as VectorDataViewType)?.ItemType.RawType ?? input.Column.Type.RawType;
        if (item == typeof(bool)) return input.Tensor.Type == ElementType.Bool ? new Reader<bool, bool>(input, source, false, null) : FromBool(input, source);
        if (item == typeof(float) && input.Tensor.Type == ElementType.Float) return new Reader<float, float>(input, source, acceptsSparse, null);
        return Make(nameof(Number), item, input, source);
    }

    private static InputReader FromBool(BoundInput input, DataViewRow source) => Make(nameof(Flag), null, input, source);

    private static InputReader Make(string method, Type? item, BoundInput input, DataViewRow source)
    {
        var target = ColumnTypes.ItemOf(input.Tensor.Type, input.Tensor.Name).RawType;
        Type[] types = item is null ? [target] : [item, target];
        var generic = typeof(InputReader).GetMethod(method, BindingFlags.NonPublic | BindingFlags.Static)!;
        return generic.MakeGenericMethod(types).CreateDelegate<Func<BoundInput, DataViewRow, InputReader>>()(input, source);
    }

    private static InputReader Number<TSource, TTarget>(BoundInput input, DataViewRow source)
        where TSource : unmanaged, INumberBase<TSource> where TTarget : unmanaged, INumberBase<TTarget> =>
        new Reader<TSource, TTarget>(input, source, false, typeof(TSource) == typeof(TTarget) ? null : TTarget.CreateTruncating);

    private static InputReader Flag<TTarget>(BoundInput input, DataViewRow source) where TTarget : unmanaged, INumberBase<TTarget> =>
        new Reader<bool, TTarget>(input, source, false, flag => flag ? TTarget.One : TTarget.Zero);

    private sealed class Reader<TSource, TTarget> : InputReader where TSource : unmanaged where TTarget : unmanaged
    {
        private readonly BoundInput _input;
        private readonly Func<TSource, TTarget>? _convert;
        private readonly ValueGetter<TSource>? _scalar;
        private readonly ValueGetter<VBuffer<TSource>>? _vector;
        private readonly SparseRows? _sparse;
        private readonly TSource[] _row;
        private TTarget[] _rows = [];
        private int[] _columns = [];
        private VBuffer<TSource> _value;
        private bool _isSparse;

        public Reader(BoundInput input, DataViewRow source, bool acceptsSparse, Func<TSource, TTarget>? convert)
        {
            _input = input;
            _convert = convert;
            if (input.Column.Type is VectorDataViewType) _vector = source.GetGetter<VBuffer<TSource>>(input.Column);
            else _scalar = source.GetGetter<TSource>(input.Column);
            _sparse = acceptsSparse && _vector is not null ? new SparseRows() : null;
            _row = convert is null ? [] : new TSource[input.RowSize];
        }

        public override Array Rows => _rows;

        public override void Read(int slot)
        {
            if (_vector is null)
            {
                TSource one = default;
                _scalar!(ref one);
                Convert([one], Row(slot));
                return;
            }
            _vector(ref _value);
            if (_value.Length != _input.RowSize)
                throw new ArgumentException(FormattableString.Invariant($"Column '{_input.Column.Name}' has a vector of length {_value.Length} in a row; input '{_input.Tensor.Name}' of the model takes {_input.RowSize} values a row."));
            if (slot == 0)
            {
                _isSparse = _sparse is not null && !_value.IsDense;
                _sparse?.Clear();
            }
            if (_isSparse) AddSparse();
            else if (_convert is null) _value.CopyTo(AsSource(Row(slot)));
            else
            {
                _value.CopyTo(_row);
                Convert(_row, Row(slot));
            }
        }

        public override void Load(ProgramRun run, int index, int count)
        {
            if (_isSparse)
            {
                int rows = run.InputShape(index)[0];
                // A row may have been taken before another column's fault on it.
                _sparse!.Truncate(count);
                for (int i = count; i < rows; i++) _sparse.Add([], []);
                run.UseSparse(index, _sparse);
                return;
            }
            if (_sparse is not null) run.UseSparse(index, null);
            var to = run.Input<TTarget>(index);
            int filled = count * _input.RowSize;
            _rows.AsSpan(0, filled).CopyTo(to);
            to[filled..].Clear();
        }

        private void AddSparse()
        {
            var values = (ReadOnlySpan<float>)MemoryMarshal.Cast<TSource, float>(_value.GetValues());
            if (!_value.IsDense)
            {
                _sparse!.Add(_value.GetIndices(), values);
                return;
            }
            // A dense row among sparse ones: all its columns are stored.
            if (_columns.Length != values.Length) _columns = [.. Enumerable.Range(0, values.Length)];
            _sparse!.Add(_columns, values);
        }

        private Span<TTarget> Row(int slot)
        {
            int end = checked((slot + 1) * _input.RowSize);
            if (_rows.Length < end) Array.Resize(ref _rows, Math.Max(end, _rows.Length * 2));
            return _rows.AsSpan(slot * _input.RowSize, _input.RowSize);
        }

        private void Convert(ReadOnlySpan<TSource> from, Span<TTarget> to)
        {
            if (_convert is null) from.CopyTo(AsSource(to));
            else
                for (int i = 0; i < to.Length; i++) to[i] = _convert(from[i]);
        }

        /// <summary>Only where both types are one.</summary>
        private static Span<TSource> AsSource(Span<TTarget> row) => MemoryMarshal.Cast<TTarget, TSource>(row);
    }
}
