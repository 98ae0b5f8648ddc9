using Microsoft.ML.Data;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization;

/// <summary>Which column types stand for which tensor element types. Conversions are made only where no value changes.</summary>
internal static class ColumnTypes
{
    /// <summary>The type of a column that holds one element.</summary>
    public static PrimitiveDataViewType ItemOf(ElementType type, string tensor) => type switch
    {
        ElementType.Float => NumberDataViewType.Single,
        ElementType.Double => NumberDataViewType.Double,
        ElementType.Int8 => NumberDataViewType.SByte,
        ElementType.Int16 => NumberDataViewType.Int16,
        ElementType.Int32 => NumberDataViewType.Int32,
        ElementType.Int64 => NumberDataViewType.Int64,
        ElementType.UInt8 => NumberDataViewType.Byte,
        ElementType.UInt16 => NumberDataViewType.UInt16,
        ElementType.UInt32 => NumberDataViewType.UInt32,
        ElementType.UInt64 => NumberDataViewType.UInt64,
        ElementType.Bool => BooleanDataViewType.Instance,
        _ => throw new ModelFormatException($"Tensor '{tensor}' is {type}, which no column holds.", null, tensor),
    };

    /// <summary>The columns that a tensor of this type can be read from, the exact one first.</summary>
    public static IReadOnlyList<Type> Sources(ElementType type) => type switch
    {
        ElementType.Float => [typeof(float), typeof(bool), typeof(sbyte), typeof(byte), typeof(short), typeof(ushort)],
        ElementType.Double => [typeof(double), typeof(float), typeof(bool), typeof(sbyte), typeof(byte), typeof(short), typeof(ushort), typeof(int), typeof(uint)],
        ElementType.Int8 => [typeof(sbyte), typeof(bool)],
        ElementType.Int16 => [typeof(short), typeof(bool), typeof(sbyte), typeof(byte)],
        ElementType.Int32 => [typeof(int), typeof(bool), typeof(sbyte), typeof(byte), typeof(short), typeof(ushort)],
        ElementType.Int64 => [typeof(long), typeof(bool), typeof(sbyte), typeof(byte), typeof(short), typeof(ushort), typeof(int), typeof(uint)],
        ElementType.UInt8 => [typeof(byte), typeof(bool)],
        ElementType.UInt16 => [typeof(ushort), typeof(bool), typeof(byte)],
        ElementType.UInt32 => [typeof(uint), typeof(bool), typeof(byte), typeof(ushort)],
        ElementType.UInt64 => [typeof(ulong), typeof(bool), typeof(byte), typeof(ushort), typeof(uint)],
        ElementType.Bool => [typeof(bool)],
        _ => [],
    };

    /// <summary>A key is refused: it counts from 1, which a model does not know. MapKeyToValue or MapKeyToVector make numbers of it.</summary>
    /// <exception cref="ArgumentException">The column cannot be read as the tensor without changing values.</exception>
    public static void CheckSource(string column, DataViewType item, bool isKey, ElementType type, string tensor)
    {
        if (!isKey && Sources(type).Contains(item.RawType)) return;
        throw new ArgumentException(
            $"Column '{column}' holds {(isKey ? $"keys ({item})" : item)}; input '{tensor}' of the model is {type}. Supported: columns of {string.Join(", ", Sources(type).Select(t => t.Name))}, no keys.");
    }
}
