using System.Collections.Immutable;
using Google.Protobuf.Collections;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx.Proto;

namespace MLNet.Quantization.Onnx;

/// <summary>Makes a <see cref="ModelGraph"/> of a graph message. Uses the message up: what it has decoded is cleared there.</summary>
internal sealed class GraphDecoder(ExternalData? external)
{
    /// <summary>"ai.onnx" is another spelling of the standard's own domain.</summary>
    public static string Canonical(string domain) => domain == "ai.onnx" ? "" : domain;

    /// <returns>The graph with its nodes in topological order; names are not verified yet.</returns>
    public ModelGraph Decode(GraphProto proto)
    {
        if (proto.SparseInitializer.Count > 0)
        {
            string name = proto.SparseInitializer[0].Values?.Name ?? "";
            throw new ModelFormatException($"Constant '{name}' is sparse; supported are dense constants.", null, name);
        }
        var initializers = Initializers(proto.Initializer);
        var graph = new ModelGraph
        {
            Name = proto.Name,
            Inputs = [.. proto.Input.Where(i => !initializers.ContainsKey(i.Name)).Select(i => ValueInfoCodec.Decode(i, "input"))],
            Outputs = [.. proto.Output.Select(o => ValueInfoCodec.Decode(o, "output"))],
            ValueInfos = [.. proto.ValueInfo.Where(ValueInfoCodec.IsSupported).Select(v => ValueInfoCodec.Decode(v, "value"))],
            Nodes = [.. proto.Node.Select(Decode)],
            Initializers = initializers,
        };
        proto.ClearModelledFields();
        graph = graph with { Metadata = new() { OpaqueGraphFields = proto.Remains() } };
        return graph with { Nodes = GraphOrder.Sort(graph) };
    }

    private ImmutableDictionary<string, Tensor> Initializers(RepeatedField<TensorProto> protos)
    {
        var result = ImmutableDictionary.CreateBuilder<string, Tensor>(StringComparer.Ordinal);
        foreach (var proto in protos)
        {
            if (proto.Name.Length == 0) throw new ModelFormatException("A constant of the graph has no name.");
            if (!result.TryAdd(proto.Name, TensorDecoder.Decode(proto, proto.Name, external)))
                throw new ModelFormatException($"Constant '{proto.Name}' is stored twice.", null, proto.Name);
        }
        return result.ToImmutable();
    }

    private Node Decode(NodeProto proto)
    {
        var node = new Node(proto.Name, proto.OpType, [.. proto.Input], [.. proto.Output])
        {
            Domain = Canonical(proto.Domain),
            DocString = proto.DocString,
        };
        if (node.OpType.Length == 0) throw new ModelFormatException($"Node '{node.DisplayName}' has no operator type.", node.DisplayName);
        var attributes = new AttributeDecoder(this, external);
        var (known, others) = attributes.Decode(proto.Attribute, node);
        proto.ClearModelledFields();
        proto.Attribute.AddRange(others);
        return node with { Attributes = known, OpaqueFields = proto.Remains() };
    }
}
