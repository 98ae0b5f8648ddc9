using System.Runtime.InteropServices;
using Google.Protobuf.Collections;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx.Proto;

namespace MLNet.Quantization.Onnx;

/// <summary>Constants from the file, checked against their shapes before any memory is taken.</summary>
internal static class TensorDecoder
{
    private static readonly ElementType[] Supported = [.. Enum.GetValues<ElementType>().Where(t => t.SizeOf() > 0)];

    /// <summary>The element types that a constant can have, for messages.</summary>
    public static string SupportedTypes { get; } = string.Join(", ", Supported);

    /// <summary>What the standard calls an element type.</summary>
    public static string NameOf(int elementType) => ((TensorProto.Types.DataType)elementType).ToString();

    /// <param name="proto">The message.</param>
    /// <param name="name">What errors call the tensor.</param>
    /// <param name="external">Where external data is found; null where there can be none.</param>
    /// <param name="node">The node that holds it, or null.</param>
    public static Tensor Decode(TensorProto proto, string name, ExternalData? external, string? node = null)
    {
        var type = (ElementType)proto.DataType;
        if (!Supported.Contains(type))
            throw Malformed($"has element type {NameOf(proto.DataType)}; supported are {SupportedTypes}");
        if (proto.Segment is not null) throw Malformed("is stored in segments; supported are tensors in one piece");
        var dims = new int[proto.Dims.Count];
        long count = 1;
        for (int i = 0; i < dims.Length; i++)
        {
            if (proto.Dims[i] is < 0 or > int.MaxValue) throw Malformed($"has extent {proto.Dims[i]} at axis {i}; supported are 0 to {int.MaxValue}");
            dims[i] = (int)proto.Dims[i];
            count *= dims[i];
            if (count > int.MaxValue) throw Malformed($"of shape [{string.Join(',', proto.Dims)}] has more than {int.MaxValue} elements");
        }
        long bytes = count * type.SizeOf();
        if (bytes > Array.MaxLength) throw Malformed($"takes {bytes} bytes; supported are {Array.MaxLength}");

        if (proto.DataLocation == TensorProto.Types.DataLocation.External)
        {
            if (external is null) throw Malformed("has its data in another file, which cannot be found from here");
            return new(type, dims, external.Read(proto.ExternalData, name, bytes));
        }
        if (proto.HasRawData && !(proto.RawData.IsEmpty && HasTypedData(proto)))
        {
            if (proto.RawData.Length != bytes) throw Malformed($"holds {proto.RawData.Length} bytes; its shape [{string.Join(',', dims)}] of {type} takes {bytes}");
            return new(type, dims, CheckedBooleans(proto.RawData.Memory));
        }
        return new(type, dims, TypedData());

        ReadOnlyMemory<byte> CheckedBooleans(ReadOnlyMemory<byte> data)
        {
            if (type == ElementType.Bool && data.Span.ContainsAnyExcept((byte)0, (byte)1)) throw Malformed("is of booleans, but holds bytes other than 0 and 1");
            return data;
        }

        byte[] TypedData() => type switch
        {
            ElementType.Float => Bytes(Counted(proto.FloatData)),
            ElementType.Double => Bytes(Counted(proto.DoubleData)),
            ElementType.Int64 => Bytes(Counted(proto.Int64Data)),
            ElementType.UInt64 => Bytes(Counted(proto.Uint64Data)),
            ElementType.UInt32 => Bytes(Array.ConvertAll(Counted(proto.Uint64Data), v => v <= uint.MaxValue ? (uint)v : throw OutOfRange(v))),
            ElementType.Int32 => Bytes(Counted(proto.Int32Data)),
            ElementType.Int16 => Bytes(Array.ConvertAll(Counted(proto.Int32Data), v => (short)InRange(v, short.MinValue, short.MaxValue))),
            ElementType.Int8 => Bytes(Array.ConvertAll(Counted(proto.Int32Data), v => (sbyte)InRange(v, sbyte.MinValue, sbyte.MaxValue))),
            ElementType.UInt8 => Array.ConvertAll(Counted(proto.Int32Data), v => (byte)InRange(v, 0, byte.MaxValue)),
            ElementType.Bool => Array.ConvertAll(Counted(proto.Int32Data), v => (byte)InRange(v, 0, 1)),
            // UInt16, and the bits of Float16 and BFloat16.
            _ => Bytes(Array.ConvertAll(Counted(proto.Int32Data), v => (ushort)InRange(v, 0, ushort.MaxValue))),
        };

        T[] Counted<T>(RepeatedField<T> elements) => elements.Count == count ? [.. elements]
            : throw Malformed($"holds {elements.Count} elements; its shape [{string.Join(',', dims)}] of {type} takes {count}");

        int InRange(int value, int min, int max) => value >= min && value <= max ? value : throw OutOfRange((ulong)value);

        ModelFormatException OutOfRange(ulong value) => Malformed($"holds {(long)value}, which is not a {type}");

        ModelFormatException Malformed(string what) => new($"Tensor '{name}' {what}.", node, name);
    }

    private static bool HasTypedData(TensorProto proto) =>
        proto.FloatData.Count + proto.Int32Data.Count + proto.Int64Data.Count + proto.DoubleData.Count + proto.Uint64Data.Count > 0;

    private static byte[] Bytes<T>(T[] values) where T : unmanaged => MemoryMarshal.AsBytes<T>(values).ToArray();
}
