using System.Reflection;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace MLNet.Quantization.Scoring;

/// <summary>The values of one pass-through column for the rows that a cursor has looked ahead.</summary>
internal abstract class ColumnBuffer
{
    /// <summary>Takes the source's current value as row <paramref name="slot"/>.</summary>
    public abstract void Read(int slot);

    /// <summary>A getter that copies the value of the row that <paramref name="slot"/> gives.</summary>
    public abstract Delegate Getter(Func<int> slot);

    /// <summary>True for values such as images, which belong to the upstream getter and cannot be kept beyond the next row.</summary>
    public static bool BelongsToSource(DataViewType type) => ItemOf(type).IsClass;

    public static ColumnBuffer Create(DataViewRow source, DataViewSchema.Column column)
    {
        string method = column.Type is VectorDataViewType ? nameof(Vector) : nameof(Scalar);
        return typeof(ColumnBuffer).GetMethod(method, BindingFlags.NonPublic | BindingFlags.Static)!.MakeGenericMethod(ItemOf(column.Type))
            .CreateDelegate<Func<DataViewRow, DataViewSchema.Column, ColumnBuffer>>()(source, column);
    }

    private static Type ItemOf(DataViewType type) => type is VectorDataViewType vector ? vector.ItemType.RawType : type.RawType;

    private static ColumnBuffer Scalar<T>(DataViewRow source, DataViewSchema.Column column) => new Buffer<T>(source.GetGetter<T>(column), static (ref T from, ref T to) => to = from);

    private static ColumnBuffer Vector<T>(DataViewRow source, DataViewSchema.Column column) =>
        new Buffer<VBuffer<T>>(source.GetGetter<VBuffer<T>>(column), static (ref VBuffer<T> from, ref VBuffer<T> to) => from.CopyTo(ref to));

    private delegate void Copy<T>(ref T from, ref T to);

    private sealed class Buffer<T>(ValueGetter<T> read, Copy<T> copy) : ColumnBuffer
    {
        private T[] _values = [];

        public override void Read(int slot)
        {
            if (slot >= _values.Length) Array.Resize(ref _values, Math.Max(8, slot * 2));
            read(ref _values[slot]);
        }

        public override Delegate Getter(Func<int> slot) => (ValueGetter<T>)((ref T value) => copy(ref _values[slot()], ref value));
    }
}
