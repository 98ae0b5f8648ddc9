using System.Globalization;
using System.IO.Compression;
using MLNet.Quantization.Onnx.Proto;

namespace MLNet.Quantization.Tests.Onnx;

/// <summary>
/// A case of the ONNX standard's backend tests: a model, and sets of inputs with the outputs that the standard's reference gives.
/// </summary>
internal sealed record ConformanceCase(string Group, string Name, byte[] Model, IReadOnlyList<ConformanceData> Data)
{
    private static readonly Lazy<IReadOnlyList<ConformanceCase>> AllCases = new(ReadAll);

    /// <summary>Every case that stands in a folder of its own, by group and name. Skips the test where the archive is absent.</summary>
    public static IReadOnlyList<ConformanceCase> All => AllCases.Value;

    public ModelProto Proto { get; } = ModelProto.Parser.ParseFrom(Model);

    /// <summary>The operator types of all nodes, those of subgraphs and functions included; other domains' with their domain before them.</summary>
    public IReadOnlySet<string> Operators => OperatorsOf(Proto.Graph.Node.Concat(Proto.Functions.SelectMany(f => f.Node))).ToHashSet(StringComparer.Ordinal);

    public override string ToString() => $"{Group}/{Name}";

    private static IEnumerable<string> OperatorsOf(IEnumerable<NodeProto> nodes) => nodes.SelectMany(n =>
        OperatorsOf(n.Attribute.Where(a => a.G is not null).SelectMany(a => a.G.Node)).Prepend(n.Domain is "" or "ai.onnx" ? n.OpType : $"{n.Domain}.{n.OpType}"));

    private static List<ConformanceCase> ReadAll()
    {
        using var archive = ZipFile.OpenRead(SharedData.Path("onnx_conformance_1.17.zip"));
        var cases = archive.Entries
            .Where(e => e.FullName.Count(c => c == '/') >= 2 && e.Name.Length > 0)
            .GroupBy(e => string.Join('/', e.FullName.Split('/').Take(2)), StringComparer.Ordinal)
            .Where(folder => folder.Any(e => e.Name == "model.onnx"))
            .Select(Read);
        return [.. cases.OrderBy(c => c.ToString(), StringComparer.Ordinal)];
    }

    private static ConformanceCase Read(IGrouping<string, ZipArchiveEntry> folder)
    {
        string[] path = folder.Key.Split('/');
        var data = folder.Where(e => e.Name.EndsWith(".pb", StringComparison.Ordinal)).GroupBy(e => Path.GetDirectoryName(e.FullName), StringComparer.Ordinal)
            .OrderBy(set => set.Key, StringComparer.Ordinal)
            .Select(set => new ConformanceData(Numbered(set, "input_"), Numbered(set, "output_")));
        return new(path[0], path[1], Bytes(folder.Single(e => e.Name == "model.onnx")), [.. data]);
    }

    private static List<byte[]> Numbered(IEnumerable<ZipArchiveEntry> entries, string prefix) =>
        [.. entries.Where(e => e.Name.StartsWith(prefix, StringComparison.Ordinal)).OrderBy(e => int.Parse(e.Name[prefix.Length..^3], CultureInfo.InvariantCulture)).Select(Bytes)];

    private static byte[] Bytes(ZipArchiveEntry entry)
    {
        using var stream = entry.Open();
        var bytes = new byte[entry.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}

/// <summary>One set of inputs and expected outputs, each the bytes of a file with one tensor (or sequence, or optional).</summary>
internal sealed record ConformanceData(IReadOnlyList<byte[]> Inputs, IReadOnlyList<byte[]> Outputs);
