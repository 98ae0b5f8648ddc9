using System.Collections.Immutable;
using System.Text;
using Google.Protobuf;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx.Proto;
using Kind = MLNet.Quantization.Onnx.Proto.AttributeProto.Types.AttributeType;

namespace MLNet.Quantization.Onnx;

/// <summary>Attributes of a node. Forms that <see cref="AttributeMap"/> cannot hold are handed back as they came.</summary>
internal sealed class AttributeDecoder(GraphDecoder graphs, ExternalData? external)
{
    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    public (AttributeMap Known, IReadOnlyList<AttributeProto> Others) Decode(IEnumerable<AttributeProto> protos, Node node)
    {
        var known = AttributeMap.Empty;
        var others = new List<AttributeProto>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var proto in protos)
        {
            if (proto.Name.Length == 0) throw Malformed(node, "an attribute has no name");
            if (!names.Add(proto.Name)) throw Malformed(node, $"attribute '{proto.Name}' is given twice");
            if (Decode(proto, node) is { } value) known = known.With(proto.Name, value);
            else others.Add(proto);
        }
        return (known, others);
    }

    private object? Decode(AttributeProto proto, Node node) => KindOf(proto) switch
    {
        _ when proto.RefAttrName.Length > 0 => null,
        Kind.Float => proto.F,
        Kind.Int => proto.I,
        Kind.String => Text(proto.S),
        Kind.Floats => ImmutableArray.Create([.. proto.Floats]),
        Kind.Ints => ImmutableArray.Create([.. proto.Ints]),
        Kind.Strings => Texts(proto.Strings),
        Kind.Tensor => TensorDecoder.Decode(proto.T ?? throw Malformed(node, $"attribute '{proto.Name}' holds no tensor"),
            $"attribute '{proto.Name}' of node '{node.DisplayName}'", external, node.DisplayName),
        Kind.Graph => graphs.Decode(proto.G ?? throw Malformed(node, $"attribute '{proto.Name}' holds no graph")),
        _ => null,
    };

    /// <summary>Old files leave the kind out: it is then that of the field which is filled.</summary>
    private static Kind KindOf(AttributeProto proto) => proto switch
    {
        { Type: not Kind.Undefined } => proto.Type,
        { HasF: true } => Kind.Float,
        { HasI: true } => Kind.Int,
        { HasS: true } => Kind.String,
        { T: not null } => Kind.Tensor,
        { G: not null } => Kind.Graph,
        { Floats.Count: > 0 } => Kind.Floats,
        { Ints.Count: > 0 } => Kind.Ints,
        { Strings.Count: > 0 } => Kind.Strings,
        _ => Kind.Undefined,
    };

    /// <summary>Null for bytes that are no text.</summary>
    private static string? Text(ByteString bytes)
    {
        try
        {
            return StrictUtf8.GetString(bytes.Span);
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }

    private static object? Texts(IEnumerable<ByteString> list)
    {
        var texts = list.Select(Text).ToList();
        return texts.Contains(null) ? null : ImmutableArray.CreateRange(texts.Select(t => t!));
    }

    private static ModelFormatException Malformed(Node node, string what) =>
        new($"Node '{node.DisplayName}' ({node.OpType}): {what}.", node.DisplayName);
}
