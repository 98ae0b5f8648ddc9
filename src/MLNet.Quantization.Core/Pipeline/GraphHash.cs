using System.Collections.Immutable;
using System.Security.Cryptography;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Pipeline;

/// <summary>SHA-256 of what a graph computes: inputs, outputs, nodes, constants and operator set, not its documentation.</summary>
internal static class GraphHash
{
    public static string Of(ModelGraph graph)
    {
        using var stream = new MemoryStream();
        using (var writer = new BinaryWriter(stream, System.Text.Encoding.UTF8, leaveOpen: true)) Write(writer, graph);
        return Convert.ToHexString(SHA256.HashData(stream.GetBuffer().AsSpan(0, (int)stream.Length)));
    }

    private static void Write(BinaryWriter writer, ModelGraph graph)
    {
        foreach (var (domain, version) in graph.OpsetImports)
        {
            writer.Write(domain);
            writer.Write(version);
        }
        foreach (var value in graph.Inputs.Concat(graph.Outputs)) writer.Write(value.ToString());
        foreach (var node in graph.Nodes)
        {
            writer.Write(node.Domain);
            writer.Write(node.OpType);
            writer.Write(string.Join('\n', node.Inputs));
            writer.Write(string.Join('\n', node.Outputs));
            foreach (var (name, value) in node.Attributes)
            {
                writer.Write(name);
                Write(writer, value);
            }
        }
        foreach (var (name, tensor) in graph.Initializers.OrderBy(i => i.Key, StringComparer.Ordinal))
        {
            writer.Write(name);
            Write(writer, tensor);
        }
    }

    private static void Write(BinaryWriter writer, object value)
    {
        switch (value)
        {
            case long v: writer.Write(v); break;
            case float v: writer.Write(v); break;
            case string v: writer.Write(v); break;
            case ImmutableArray<long> list: foreach (long v in list) writer.Write(v); break;
            case ImmutableArray<float> list: foreach (float v in list) writer.Write(v); break;
            case ImmutableArray<string> list: foreach (string v in list) writer.Write(v); break;
            case ModelGraph body: Write(writer, body); break;
            case Tensor tensor:
                writer.Write(tensor.ToString());
                writer.Write(SHA256.HashData(tensor.Bytes.Span));
                break;
            default: throw new InvalidOperationException($"An attribute cannot hold a {value.GetType()}.");
        }
    }
}
