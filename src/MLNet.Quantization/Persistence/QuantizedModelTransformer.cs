using Microsoft.ML;
using Microsoft.ML.Runtime;
using MLNet.Quantization;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Persistence;
using MLNet.Quantization.Pipeline;

[assembly: LoadableClass(typeof(QuantizedModelTransformer), null, typeof(SignatureLoadModel), "INT8 model scorer", QuantizedModelTransformer.LoaderSignature)]

namespace MLNet.Quantization;

// How ML.NET saves and loads the transformer. The zip holds the QDQ model as an ONNX file, the columns, and their annotations.
public sealed partial class QuantizedModelTransformer
{
    internal const string LoaderSignature = "MLNetQuantizedModel";

    private const string ModelEntry = "Model.onnx", ColumnsEntry = "Columns", AnnotationsEntry = "Annotations.idv";

    private static VersionInfo Version() => ZipEntries.Version("QNTMODEL", LoaderSignature);

    /// <summary>Found and called by ML.NET when a zip is loaded.</summary>
    internal QuantizedModelTransformer(IHostEnvironment env, ModelLoadContext ctx)
    {
        ArgumentNullException.ThrowIfNull(env);
        ZipEntries.Check(ctx, Version(), "quantized model");
        int threads = ctx.Reader.ReadInt32();
        if (threads < 0) throw new ModelFormatException($"The zip is damaged: the saved number of threads is {threads}.");
        byte[] columns = ZipEntries.Read(ctx, ColumnsEntry);
        byte[]? annotations = ZipEntries.TryRead(ctx, AnnotationsEntry);
        _model = QuantizedModel.FromGraph(OnnxReader.Read(ZipEntries.Read(ctx, ModelEntry)));
        var (inputs, outputs) = SavedColumns.Read(new BinaryReader(new MemoryStream(columns)));
        _scoring = new(_model.Compile(new() { MaxThreads = threads }), inputs, outputs, annotations is null ? null : SavedColumns.ReadAnnotations(annotations));
    }

    private void Save(ModelSaveContext ctx)
    {
        ArgumentNullException.ThrowIfNull(ctx);
        ctx.CheckAtModel();
        ctx.SetVersionInfo(Version());
        ctx.Writer.Write(_scoring.Program.MaxThreads);
        using var columns = new MemoryStream();
        using (var writer = new BinaryWriter(columns)) SavedColumns.Write(writer, _scoring.InputColumns, _scoring.Outputs);
        ZipEntries.Write(ctx, ColumnsEntry, columns.ToArray());
        if (_scoring.Annotations is { } annotations) ZipEntries.Write(ctx, AnnotationsEntry, SavedColumns.AnnotationBytes(annotations));
        ZipEntries.Write(ctx, ModelEntry, OnnxWriter.Write(_model.Graph));
    }
}
