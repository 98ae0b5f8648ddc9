using System.Collections.Immutable;
using Google.Protobuf;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx.Proto;
using Kind = MLNet.Quantization.Onnx.Proto.AttributeProto.Types.AttributeType;

namespace MLNet.Quantization.Onnx;

/// <summary>Makes messages of a graph, its nodes, attributes and constants. Constants' memory is borrowed, not copied.</summary>
internal static class GraphEncoder
{
    public static GraphProto Encode(ModelGraph graph)
    {
        var proto = GraphProto.Parser.ParseFrom(graph.Metadata.OpaqueGraphFields.Span);
        proto.Name = graph.Name.Length > 0 ? graph.Name : "graph"; // The standard demands a name.
        proto.Node.AddRange(graph.Nodes.Select(Encode));
        proto.Initializer.AddRange(graph.Initializers.OrderBy(i => i.Key, StringComparer.Ordinal).Select(i => Encode(i.Value, i.Key)));
        proto.Input.AddRange(graph.Inputs.Select(ValueInfoCodec.Encode));
        proto.Output.AddRange(graph.Outputs.Select(ValueInfoCodec.Encode));
        proto.ValueInfo.AddRange(graph.ValueInfos.Select(ValueInfoCodec.Encode));
        return proto;
    }

    /// <summary>Bytes of all constants, those of subgraphs and attributes included.</summary>
    public static long ConstantBytes(ModelGraph graph) =>
        graph.Initializers.Values.Sum(t => (long)t.Bytes.Length) + graph.Nodes.SelectMany(n => n.Attributes).Sum(a => a.Value switch
        {
            Tensor tensor => tensor.Bytes.Length,
            ModelGraph body => ConstantBytes(body),
            _ => 0L,
        });

    private static NodeProto Encode(Node node)
    {
        var proto = NodeProto.Parser.ParseFrom(node.OpaqueFields.Span);
        proto.Name = node.Name;
        proto.OpType = node.OpType;
        proto.Domain = node.Domain;
        proto.DocString = node.DocString;
        proto.Input.AddRange(node.Inputs);
        proto.Output.AddRange(node.Outputs);
        proto.Attribute.AddRange(node.Attributes.Select(a => Encode(a.Key, a.Value)));
        return proto;
    }

    private static AttributeProto Encode(string name, object value)
    {
        var proto = new AttributeProto { Name = name };
        switch (value)
        {
            case long i:
                (proto.Type, proto.I) = (Kind.Int, i);
                break;
            case float f:
                (proto.Type, proto.F) = (Kind.Float, f);
                break;
            case string s:
                (proto.Type, proto.S) = (Kind.String, ByteString.CopyFromUtf8(s));
                break;
            case Tensor t:
                (proto.Type, proto.T) = (Kind.Tensor, Encode(t, ""));
                break;
            case ModelGraph g:
                (proto.Type, proto.G) = (Kind.Graph, Encode(g));
                break;
            case ImmutableArray<long> ints:
                proto.Type = Kind.Ints;
                proto.Ints.AddRange(ints);
                break;
            case ImmutableArray<float> floats:
                proto.Type = Kind.Floats;
                proto.Floats.AddRange(floats);
                break;
            case ImmutableArray<string> strings:
                proto.Type = Kind.Strings;
                proto.Strings.AddRange(strings.Select(ByteString.CopyFromUtf8));
                break;
            default:
                throw new InvalidOperationException($"Attribute '{name}' holds a {value.GetType()}.");
        }
        return proto;
    }

    private static TensorProto Encode(Tensor tensor, string name)
    {
        var proto = new TensorProto { Name = name, DataType = (int)tensor.Type, RawData = UnsafeByteOperations.UnsafeWrap(tensor.Bytes) };
        foreach (int extent in tensor.Dims) proto.Dims.Add(extent);
        return proto;
    }
}
