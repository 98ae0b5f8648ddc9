using Google.Protobuf;
using MLNet.Quantization.Onnx.Proto;

namespace MLNet.Quantization.Onnx;

/// <summary>
/// Clears the fields of a message that the graph holds in its own terms. What remains is kept as bytes, and merged back when the graph
/// is written.
/// </summary>
internal static class ModelledFields
{
    /// <summary>What is left of a message, as bytes; nothing where nothing is left.</summary>
    public static ReadOnlyMemory<byte> Remains(this IMessage proto) => proto.CalculateSize() == 0 ? default : proto.ToByteArray();

    public static void ClearModelledFields(this ModelProto proto)
    {
        proto.IrVersion = 0;
        proto.ProducerName = "";
        proto.ProducerVersion = "";
        proto.Domain = "";
        proto.ModelVersion = 0;
        proto.DocString = "";
        proto.Graph = null;
        proto.OpsetImport.Clear();
        proto.MetadataProps.Clear();
    }

    public static void ClearModelledFields(this GraphProto proto)
    {
        proto.Name = "";
        proto.Node.Clear();
        proto.Initializer.Clear();
        proto.Input.Clear();
        proto.Output.Clear();
        var others = proto.ValueInfo.Where(v => !ValueInfoCodec.IsSupported(v)).ToList();
        proto.ValueInfo.Clear();
        proto.ValueInfo.AddRange(others);
    }

    public static void ClearModelledFields(this NodeProto proto)
    {
        proto.Name = "";
        proto.OpType = "";
        proto.Domain = "";
        proto.DocString = "";
        proto.Input.Clear();
        proto.Output.Clear();
        proto.Attribute.Clear();
    }

    public static void ClearModelledFields(this ValueInfoProto proto)
    {
        proto.Name = "";
        proto.DocString = "";
        if (proto.Type?.TensorType is not { } tensor) return;
        tensor.ElemType = 0;
        tensor.Shape = null;
        if (proto.Type.Equals(new TypeProto { TensorType = new() })) proto.Type = null;
    }
}
