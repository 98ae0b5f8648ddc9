using System.Collections.Immutable;
using Google.Protobuf;
using Google.Protobuf.Collections;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx.Proto;

namespace MLNet.Quantization.Onnx;

/// <summary>
/// Reads ONNX files. What the file says beyond <see cref="ModelGraph"/> (functions, training information, annotations, fields newer
/// than this library) is kept as bytes and written back; documentation and metadata of single tensors and attributes are dropped.
/// </summary>
internal static class OnnxReader
{
    public const int OldestOpset = 7;
    public const int NewestOpset = 22;

    /// <summary>The first version in which a file says which operator sets it means.</summary>
    private const int OldestIrVersion = 3;

    /// <summary>Reads a model from the bytes of its file.</summary>
    /// <param name="model">The whole file.</param>
    /// <param name="folderOfExternalData">The folder against which files with external data are resolved; null where there is none.</param>
    /// <exception cref="ModelFormatException">Not ONNX, truncated, contradicting itself, or a version or element type that is not supported.</exception>
    public static ModelGraph Read(ReadOnlyMemory<byte> model, string? folderOfExternalData = null)
    {
        if (model.IsEmpty) throw new ModelFormatException("The model is empty: 0 bytes where an ONNX model was expected.");
        var proto = Parse(ModelProto.Parser, model.Span, "an ONNX model");
        if (proto.Graph is null) throw new ModelFormatException("This is not an ONNX model, or only the beginning of one: it holds no graph.");
        if (proto.IrVersion < OldestIrVersion)
            throw new ModelFormatException($"The model has IR version {proto.IrVersion}; supported are {OldestIrVersion} and above.");
        var opsets = Opsets(proto.OpsetImport);
        using var external = new ExternalData(folderOfExternalData);
        var graph = new GraphDecoder(external).Decode(proto.Graph);
        foreach (var input in graph.Inputs)
            if (input.Type == ElementType.Undefined) throw new ModelFormatException($"Graph input '{input.Name}' has no element type.", null, input.Name);
        if (graph.Outputs.IsEmpty) throw new ModelFormatException("The model's graph has no outputs.");
        return GraphOrder.Verify(graph with { OpsetImports = opsets, Metadata = Metadata(proto, graph.Metadata) });
    }

    /// <summary>Reads a model file, and the files with external data that it names.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="ModelFormatException">As for <see cref="Read"/>; the message begins with the path.</exception>
    public static ModelGraph ReadFile(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var file = new FileInfo(path);
        if (!file.Exists) throw new FileNotFoundException($"There is no model file '{path}'.", path);
        try
        {
            if (file.Length > Array.MaxLength)
                throw new ModelFormatException($"The file has {file.Length} bytes; an ONNX file has at most {Array.MaxLength}, larger models keep their constants in files of external data.");
            return Read(File.ReadAllBytes(path), file.DirectoryName);
        }
        catch (ModelFormatException e)
        {
            throw new ModelFormatException($"{path}: {e.Message}", e.NodeName, e.TensorName, e);
        }
    }

    /// <summary>Reads a file that holds one tensor.</summary>
    /// <exception cref="ModelFormatException">Not a tensor, or one that is not supported.</exception>
    public static Tensor ReadTensor(ReadOnlyMemory<byte> tensorProto)
    {
        var proto = Parse(TensorProto.Parser, tensorProto.Span, "an ONNX tensor");
        return TensorDecoder.Decode(proto, proto.Name, null);
    }

    private static T Parse<T>(MessageParser<T> parser, ReadOnlySpan<byte> bytes, string what) where T : IMessage<T>
    {
        try
        {
            return parser.ParseFrom(bytes);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new ModelFormatException($"This is not {what}, or it is truncated or damaged ({bytes.Length} bytes): {e.Message}", innerException: e);
        }
    }

    private static ImmutableSortedDictionary<string, int> Opsets(RepeatedField<OperatorSetIdProto> imports)
    {
        var result = ImmutableSortedDictionary.CreateBuilder<string, int>(StringComparer.Ordinal);
        foreach (var import in imports)
        {
            string domain = GraphDecoder.Canonical(import.Domain);
            if (import.Version is < 1 or > int.MaxValue)
                throw new ModelFormatException($"The model imports version {import.Version} of the operators of domain '{import.Domain}'; versions count from 1.");
            if (result.TryGetValue(domain, out int other) && other != import.Version)
                throw new ModelFormatException($"The model imports two versions, {other} and {import.Version}, of the operators of domain '{import.Domain}'.");
            result[domain] = (int)import.Version;
        }
        if (!result.TryGetValue("", out int standard))
            throw new ModelFormatException($"The model does not say which version of the standard's operators it means; supported are opsets {OldestOpset} to {NewestOpset}.");
        if (standard is < OldestOpset or > NewestOpset)
            throw new ModelFormatException($"The model needs opset {standard} of the ONNX standard; supported are opsets {OldestOpset} to {NewestOpset}.");
        return result.ToImmutable();
    }

    private static ModelMetadata Metadata(ModelProto proto, ModelMetadata graph)
    {
        var properties = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        foreach (var property in proto.MetadataProps) properties[property.Key] = property.Value;
        var metadata = new ModelMetadata
        {
            IrVersion = proto.IrVersion,
            ProducerName = proto.ProducerName,
            ProducerVersion = proto.ProducerVersion,
            Domain = proto.Domain,
            ModelVersion = proto.ModelVersion,
            DocString = proto.DocString,
            Properties = properties.ToImmutable(),
            OpaqueGraphFields = graph.OpaqueGraphFields,
        };
        proto.ClearModelledFields();
        return metadata with { OpaqueModelFields = proto.Remains() };
    }
}
