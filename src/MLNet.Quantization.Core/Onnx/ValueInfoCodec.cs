using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx.Proto;

namespace MLNet.Quantization.Onnx;

/// <summary>Declared types and shapes, from and to the file.</summary>
internal static class ValueInfoCodec
{
    /// <summary>True where the declaration names a tensor of an element type that the graph can express, or no type at all.</summary>
    public static bool IsSupported(ValueInfoProto proto) => proto.Type is null || proto.Type.ValueCase switch
    {
        TypeProto.ValueOneofCase.None => true,
        TypeProto.ValueOneofCase.TensorType => Enum.IsDefined((ElementType)proto.Type.TensorType.ElemType),
        _ => false,
    };

    /// <param name="proto">Used up.</param>
    /// <param name="role">What errors call the value.</param>
    public static ValueInfo Decode(ValueInfoProto proto, string role)
    {
        string name = proto.Name;
        if (name.Length == 0) throw new ModelFormatException($"A graph {role} has no name.");
        if (!IsSupported(proto))
            throw new ModelFormatException($"Graph {role} '{name}' is {Describe(proto.Type)}; supported are tensors of {TensorDecoder.SupportedTypes}.", null, name);
        var tensor = proto.Type?.TensorType;
        var info = new ValueInfo(name, (ElementType)(tensor?.ElemType ?? 0), tensor?.Shape is { } shape ? Decode(shape) : null) { DocString = proto.DocString };
        proto.ClearModelledFields();
        return info with { OpaqueFields = proto.Remains() };
    }

    public static ValueInfoProto Encode(ValueInfo info)
    {
        var proto = ValueInfoProto.Parser.ParseFrom(info.OpaqueFields.Span);
        proto.Name = info.Name;
        proto.DocString = info.DocString;
        if (info.Type == ElementType.Undefined && info.Shape is null) return proto;
        proto.Type ??= new();
        proto.Type.TensorType ??= new();
        proto.Type.TensorType.ElemType = (int)info.Type;
        if (info.Shape is { } shape)
        {
            proto.Type.TensorType.Shape = new();
            foreach (var dimension in shape) proto.Type.TensorType.Shape.Dim.Add(Encode(dimension));
        }
        return proto;
    }

    /// <summary>A negative extent is how some exporters write an unknown one.</summary>
    private static TensorShape Decode(TensorShapeProto shape) => new([.. shape.Dim.Select(d => d switch
    {
        { HasDimValue: true, DimValue: >= 0 and < long.MaxValue } => new Dimension(d.DimValue),
        { HasDimParam: true, DimParam.Length: > 0 } => new Dimension(d.DimParam),
        _ => Dimension.Unknown,
    })]);

    private static TensorShapeProto.Types.Dimension Encode(Dimension dimension)
    {
        var proto = new TensorShapeProto.Types.Dimension();
        if (dimension.IsKnown) proto.DimValue = dimension.Value;
        else if (dimension.Symbol is { } symbol) proto.DimParam = symbol;
        return proto;
    }

    private static string Describe(TypeProto type) => type.ValueCase switch
    {
        TypeProto.ValueOneofCase.TensorType => $"a tensor of element type {TensorDecoder.NameOf(type.TensorType.ElemType)}",
        TypeProto.ValueOneofCase.SequenceType => "a sequence",
        TypeProto.ValueOneofCase.MapType => "a map",
        TypeProto.ValueOneofCase.OptionalType => "an optional",
        TypeProto.ValueOneofCase.SparseTensorType => "a sparse tensor",
        _ => "of an opaque type",
    };
}
