using System.IO.Compression;
using Microsoft.ML;
using Microsoft.ML.Transforms.Onnx;

namespace MLNet.Quantization.Persistence;

/// <summary>The ONNX file inside a fitted ONNX transformer: ML.NET saves it as one entry of the zip.</summary>
internal static class OnnxTransformerBytes
{
    private const string EntryName = "OnnxModel";

    public static byte[] Of(ITransformer transformer)
    {
        OnnxTransformer[] found = [.. Stages(transformer).OfType<OnnxTransformer>()];
        if (found.Length != 1)
            throw new ArgumentException(
                $"Expected one ONNX transformer, found {found.Length} among: {string.Join(", ", Stages(transformer).Select(t => t.GetType().Name))}.", nameof(transformer));
        using var zip = new MemoryStream();
        new MLContext().Model.Save(found[0], null, zip);
        using var archive = new ZipArchive(zip, ZipArchiveMode.Read);
        var entry = archive.Entries.FirstOrDefault(e => e.Name == EntryName)
            ?? throw new ModelFormatException($"The saved ONNX transformer has no entry '{EntryName}'; it has {string.Join(", ", archive.Entries.Select(e => e.FullName))}.");
        using var reader = new BinaryReader(entry.Open());
        return reader.ReadBytes(reader.ReadInt32());
    }

    /// <summary>The stages of a chain, those of chains within it one by one.</summary>
    public static IEnumerable<ITransformer> Stages(ITransformer transformer) =>
        transformer is IEnumerable<ITransformer> chain ? chain.SelectMany(Stages) : [transformer];
}
