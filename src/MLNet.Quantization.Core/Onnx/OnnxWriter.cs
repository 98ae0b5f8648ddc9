using System.Globalization;
using Google.Protobuf;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx.Proto;

namespace MLNet.Quantization.Onnx;

/// <summary>
/// Writes ONNX files, constants inside. The same graph gives the same bytes: constants, attributes and properties are in the order of
/// their names.
/// </summary>
internal static class OnnxWriter
{
    /// <summary>Protocol buffers count bytes in 31 bits.</summary>
    public const long MaxBytes = int.MaxValue;

    /// <summary>From this version on a constant need not be a graph input too.</summary>
    private const int OldestIrVersion = 4;

    /// <exception cref="ModelFormatException">The model does not fit into one file.</exception>
    public static byte[] Write(ModelGraph graph) => Write(graph, MaxBytes);

    /// <summary>Writes the file, whole or not at all.</summary>
    public static void WriteFile(ModelGraph graph, string path) => AtomicFile.WriteAllBytes(path, Write(graph));

    internal static byte[] Write(ModelGraph graph, long maxBytes)
    {
        // Summed in 64 bits first: the sizes that protocol buffers compute wrap around.
        long constants = GraphEncoder.ConstantBytes(graph);
        if (constants > maxBytes) throw TooLarge($"constants of {constants} bytes");
        var proto = Encode(graph);
        long size = (uint)proto.CalculateSize();
        return size <= maxBytes ? proto.ToByteArray() : throw TooLarge($"{size} bytes");

        ModelFormatException TooLarge(string found) =>
            new(string.Create(CultureInfo.InvariantCulture, $"The model has {found}; an ONNX file holds at most {maxBytes}."));
    }

    private static ModelProto Encode(ModelGraph graph)
    {
        var metadata = graph.Metadata;
        var proto = ModelProto.Parser.ParseFrom(metadata.OpaqueModelFields.Span);
        proto.IrVersion = Math.Max(metadata.IrVersion, OldestIrVersion);
        proto.ProducerName = metadata.ProducerName;
        proto.ProducerVersion = metadata.ProducerVersion;
        proto.Domain = metadata.Domain;
        proto.ModelVersion = metadata.ModelVersion;
        proto.DocString = metadata.DocString;
        proto.Graph = GraphEncoder.Encode(graph);
        foreach (var (domain, version) in graph.OpsetImports) proto.OpsetImport.Add(new OperatorSetIdProto { Domain = domain, Version = version });
        foreach (var (key, value) in metadata.Properties) proto.MetadataProps.Add(new StringStringEntryProto { Key = key, Value = value });
        return proto;
    }
}
