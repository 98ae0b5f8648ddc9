namespace MLNet.Quantization.Graph;

/// <summary>Element types of tensors, numbered as TensorProto.DataType of the ONNX standard numbers them.</summary>
internal enum ElementType
{
    Undefined = 0,
    Float = 1,
    UInt8 = 2,
    Int8 = 3,
    UInt16 = 4,
    Int16 = 5,
    Int32 = 6,
    Int64 = 7,
    String = 8,
    Bool = 9,
    Float16 = 10,
    Double = 11,
    UInt32 = 12,
    UInt64 = 13,
    BFloat16 = 16,
}

internal static class ElementTypes
{
    /// <summary>Bytes of one element; 0 for types without a fixed size (String, Undefined).</summary>
    public static int SizeOf(this ElementType type) => type switch
    {
        ElementType.UInt8 or ElementType.Int8 or ElementType.Bool => 1,
        ElementType.UInt16 or ElementType.Int16 or ElementType.Float16 or ElementType.BFloat16 => 2,
        ElementType.Float or ElementType.Int32 or ElementType.UInt32 => 4,
        ElementType.Int64 or ElementType.UInt64 or ElementType.Double => 8,
        _ => 0,
    };

    /// <summary>The element type whose elements are <typeparamref name="T"/> in memory.</summary>
    public static ElementType Of<T>() where T : unmanaged => default(T) switch
    {
        float => ElementType.Float,
        byte => ElementType.UInt8,
        sbyte => ElementType.Int8,
        ushort => ElementType.UInt16,
        short => ElementType.Int16,
        int => ElementType.Int32,
        long => ElementType.Int64,
        bool => ElementType.Bool,
        Half => ElementType.Float16,
        double => ElementType.Double,
        uint => ElementType.UInt32,
        ulong => ElementType.UInt64,
        _ => throw new ArgumentException($"No ONNX element type is stored as {typeof(T)}."),
    };
}
