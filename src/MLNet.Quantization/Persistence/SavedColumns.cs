using Microsoft.ML;
using Microsoft.ML.Data;
using MLNet.Quantization.Scoring;

namespace MLNet.Quantization.Persistence;

/// <summary>The columns of a transformer as they stand in a zip, and their annotations as a binary data view without rows.</summary>
internal static class SavedColumns
{
    public static void Write(BinaryWriter writer, IReadOnlyList<string> inputs, IReadOnlyList<OutputColumn> outputs)
    {
        writer.Write(inputs.Count);
        foreach (string input in inputs) writer.Write(input);
        writer.Write(outputs.Count);
        foreach (var output in outputs)
        {
            writer.Write(output.Name);
            writer.Write(output.Tensor);
            writer.Write((byte)output.Kind);
            writer.Write(output.Parameter);
        }
    }

    public static (string[] Inputs, OutputColumn[] Outputs) Read(BinaryReader reader)
    {
        var inputs = new string[Count(reader)];
        for (int i = 0; i < inputs.Length; i++) inputs[i] = reader.ReadString();
        var outputs = new OutputColumn[Count(reader)];
        for (int i = 0; i < outputs.Length; i++)
            outputs[i] = new(reader.ReadString(), reader.ReadString(), (OutputKind)reader.ReadByte(), reader.ReadSingle());
        if (outputs.FirstOrDefault(o => !Enum.IsDefined(o.Kind)) is { } unknown)
            throw new ModelFormatException($"Column '{unknown.Name}' of the saved model is of an unknown kind {(int)unknown.Kind}.");
        return (inputs, outputs);
    }

    private static int Count(BinaryReader reader) =>
        reader.ReadInt32() is >= 0 and < 1 << 16 and var count ? count : throw new ModelFormatException("The saved model is damaged: an impossible number of columns.");

    public static byte[] AnnotationBytes(DataViewSchema annotations)
    {
        using var stream = new MemoryStream();
        new MLContext().Data.SaveAsBinary(new EmptyDataView(annotations), stream, keepHidden: true);
        return stream.ToArray();
    }

    public static DataViewSchema ReadAnnotations(byte[] bytes) => new MLContext().Data.LoadFromBinary(new MemorySource(bytes)).Schema;

    /// <summary>A schema without rows.</summary>
    private sealed class EmptyDataView(DataViewSchema schema) : IDataView
    {
        public bool CanShuffle => false;

        public DataViewSchema Schema => schema;

        public long? GetRowCount() => 0;

        public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null) => new Cursor(schema);

        public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) => [new Cursor(schema)];

        private sealed class Cursor(DataViewSchema schema) : DataViewRowCursor
        {
            public override DataViewSchema Schema => schema;

            public override long Position => -1;

            public override long Batch => 0;

            public override bool MoveNext() => false;

            public override bool IsColumnActive(DataViewSchema.Column column) => true;

            public override ValueGetter<DataViewRowId> GetIdGetter() => throw NoRow();

            public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) => (ref TValue _) => throw NoRow();

            private static InvalidOperationException NoRow() => new("The cursor is not on a row.");
        }
    }

    private sealed class MemorySource(byte[] bytes) : IMultiStreamSource
    {
        public int Count => 1;

        public string? GetPathOrNull(int index) => null;

        public Stream Open(int index) => new MemoryStream(bytes);

        public TextReader OpenTextReader(int index) => new StreamReader(Open(index));
    }
}
