using System.Reflection;
using Microsoft.ML;
using Microsoft.ML.Data;
using MLNet.Quantization.Execution;

namespace MLNet.Quantization.Scoring;

/// <summary>The rows that one cursor scores together, and their scores. Not for two threads at once.</summary>
internal sealed class RowBatch : IDisposable
{
    private readonly BoundModel _bound;
    private readonly InputReader[] _readers;
    private readonly int? _threads;
    private ProgramRun? _run;
    private int _runRows;

    /// <param name="bound">The model over the source's schema.</param>
    /// <param name="source">The cursor or row to read from, with the model's columns active.</param>
    /// <param name="threads">Threads that one run may keep busy; null: as the program's options say.</param>
    public RowBatch(BoundModel bound, DataViewRow source, int? threads)
    {
        _bound = bound;
        _threads = threads;
        var program = bound.Model.Program;
        _readers = [.. bound.Inputs.Select((input, i) => InputReader.Create(input, source, bound.IsBatched && program.AcceptsSparse(i)))];
    }

    /// <summary>Takes the source's current row; slots ascend from 0.</summary>
    public void Read(int slot)
    {
        foreach (var reader in _readers) reader.Read(slot);
    }

    /// <summary>Scores the first <paramref name="count"/> rows that were read.</summary>
    public void Score(int count)
    {
        if (_run is null || count > _runRows || count <= _runRows / 2 && _bound.IsBatched)
        {
            _run?.Dispose();
            _run = null;
            _run = _bound.Rent(count);
            _runRows = _bound.IsBatched ? _run.InputShape(0)[0] : 1;
        }
        for (int i = 0; i < _readers.Length; i++) _readers[i].Load(_run, i, count);
        _run.Execute(null, _threads);
    }

    /// <summary>A getter of an added column.</summary>
    /// <param name="column">Which.</param>
    /// <param name="row">Gives the row's slot, after making sure that it has been scored.</param>
    public Delegate Getter(OutputColumn column, Func<int> row)
    {
        int output = _bound.Model.OutputIndex(column), size = _bound.OutputSize(output);
        if (column.Kind == OutputKind.ArgMaxKey) return (ValueGetter<uint>)((ref uint key) => key = ArgMax(Values<float>(output, size, row())));
        if (column.Kind == OutputKind.Threshold) return (ValueGetter<bool>)((ref bool label) => label = Values<float>(output, size, row())[0] > column.Parameter);
        var type = _bound.OutputSchema[column.Name].Type;
        string method = type is VectorDataViewType ? nameof(Vector) : nameof(Scalar);
        var item = type is VectorDataViewType vector ? vector.ItemType.RawType : type.RawType;
        return typeof(RowBatch).GetMethod(method, BindingFlags.NonPublic | BindingFlags.Instance)!.MakeGenericMethod(item)
            .CreateDelegate<Func<int, int, Func<int>, Delegate>>(this)(output, size, row);
    }

    private ValueGetter<T> Scalar<T>(int output, int size, Func<int> row) where T : unmanaged => (ref T value) => value = Values<T>(output, size, row())[0];

    private ValueGetter<VBuffer<T>> Vector<T>(int output, int size, Func<int> row) where T : unmanaged => (ref VBuffer<T> value) =>
    {
        var values = Values<T>(output, size, row());
        var editor = VBufferEditor.Create(ref value, values.Length);
        values.CopyTo(editor.Values);
        value = editor.Commit();
    };

    private ReadOnlySpan<T> Values<T>(int output, int size, int slot) where T : unmanaged => _run!.Output<T>(output).Slice(slot * size, size);

    /// <summary>From 1, the first of equals; 0 where there is a NaN.</summary>
    private static uint ArgMax(ReadOnlySpan<float> scores)
    {
        int best = 0;
        for (int i = 0; i < scores.Length; i++)
        {
            if (float.IsNaN(scores[i])) return 0;
            if (scores[i] > scores[best]) best = i;
        }
        return (uint)best + 1;
    }

    public void Dispose()
    {
        _run?.Dispose();
        _run = null;
    }
}
