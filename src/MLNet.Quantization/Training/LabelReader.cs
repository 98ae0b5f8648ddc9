using Microsoft.ML;
using Microsoft.ML.Data;

namespace MLNet.Quantization.Training;

/// <summary>Takes labels, row by row. Belongs to one cursor.</summary>
internal sealed class LabelReader
{
    private readonly Func<int> _read;
    private float[] _values = [];

    private LabelReader(Func<LabelReader, Func<int>> read) => _read = read(this);

    /// <summary>The labels of the rows read, one behind the other; may be longer.</summary>
    public float[] Values => _values;

    private int _at;

    /// <exception cref="ArgumentException">There is no such column.</exception>
    public static DataViewSchema.Column ColumnOf(DataViewSchema schema, string name) =>
        schema.GetColumnOrNull(name) ?? throw new ArgumentException($"Column '{name}', the label, is missing. The data has: {string.Join(", ", schema.Select(c => c.Name).Distinct())}.");

    /// <exception cref="ArgumentException">The column holds no numbers.</exception>
    public static LabelReader Create(DataViewSchema.Column column, DataViewRow row)
    {
        var type = column.Type;
        if (type is KeyDataViewType) return Key(column, row);
        if (type == NumberDataViewType.Single) return Scalar<float>(column, row, v => v);
        if (type == NumberDataViewType.Double) return Scalar<double>(column, row, v => (float)v);
        if (type == NumberDataViewType.Int64) return Scalar<long>(column, row, v => v);
        if (type == NumberDataViewType.Int32) return Scalar<int>(column, row, v => v);
        if (type == NumberDataViewType.Int16) return Scalar<short>(column, row, v => v);
        if (type == NumberDataViewType.SByte) return Scalar<sbyte>(column, row, v => v);
        if (type == NumberDataViewType.UInt64) return Scalar<ulong>(column, row, v => v);
        if (type == NumberDataViewType.UInt32) return Scalar<uint>(column, row, v => v);
        if (type == NumberDataViewType.UInt16) return Scalar<ushort>(column, row, v => v);
        if (type == NumberDataViewType.Byte) return Scalar<byte>(column, row, v => v);
        if (type is BooleanDataViewType) return Scalar<bool>(column, row, v => v ? 1 : 0);
        if (type is VectorDataViewType { ItemType: var item } && item == NumberDataViewType.Single) return Vector(column, row);
        throw new ArgumentException($"Column '{column.Name}', the label, is {type}; supported are keys, numbers, booleans, and vectors of Single.");
    }

    /// <summary>Takes the current row's label; slots ascend from 0.</summary>
    public void Read(int slot)
    {
        if (slot == 0) _at = 0;
        _at += _read();
    }

    /// <summary>A key counts from 1; 0 is missing, which no class is.</summary>
    private static LabelReader Key(DataViewSchema.Column column, DataViewRow row)
    {
        var raw = column.Type.RawType;
        if (raw == typeof(byte)) return Scalar<byte>(column, row, v => v - 1f);
        if (raw == typeof(ushort)) return Scalar<ushort>(column, row, v => v - 1f);
        if (raw == typeof(ulong)) return Scalar<ulong>(column, row, v => v - 1f);
        return Scalar<uint>(column, row, v => v - 1f);
    }

    private static LabelReader Scalar<T>(DataViewSchema.Column column, DataViewRow row, Func<T, float> convert)
    {
        var getter = row.GetGetter<T>(column);
        T value = default!;
        return new(reader => () =>
        {
            getter(ref value);
            reader.Room(1)[0] = convert(value);
            return 1;
        });
    }

    private static LabelReader Vector(DataViewSchema.Column column, DataViewRow row)
    {
        var getter = row.GetGetter<VBuffer<float>>(column);
        VBuffer<float> value = default;
        return new(reader => () =>
        {
            getter(ref value);
            value.CopyTo(reader.Room(value.Length));
            return value.Length;
        });
    }

    private Span<float> Room(int count)
    {
        if (_values.Length < _at + count) Array.Resize(ref _values, Math.Max(_at + count, 2 * _values.Length));
        return _values.AsSpan(_at, count);
    }
}
