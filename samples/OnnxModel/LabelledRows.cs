using System.Globalization;
using System.IO.Compression;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace OnnxModelSample;

/// <summary>What a model reads, and for which class it should decide.</summary>
internal sealed class LabelledRow
{
    public float[] Features { get; set; } = [];

    /// <summary>Index of the class, from 0; -1 where the data has no labels.</summary>
    public int Label { get; set; } = -1;
}

/// <summary>Rows from a CSV file, from MNIST's own files, or made up.</summary>
internal sealed record LabelledRows(IReadOnlyList<LabelledRow> Rows)
{
    public bool HasLabels => Rows[0].Label >= 0;

    public int Width => Rows[0].Features.Length;

    /// <summary>The rows from <paramref name="first"/> up to <paramref name="end"/> as ML.NET sees them: Features, a vector of Width.</summary>
    public IDataView View(MLContext mlContext, int first, int end)
    {
        SchemaDefinition schema = SchemaDefinition.Create(typeof(LabelledRow));
        schema[nameof(LabelledRow.Features)].ColumnType = new VectorDataViewType(NumberDataViewType.Single, Width);
        return mlContext.Data.LoadFromEnumerable(Rows.Skip(first).Take(end - first), schema);
    }

    /// <summary>A header line, then numbers; every column but the label is an input, in the order of the file.</summary>
    /// <param name="file">Comma separated; a point is the decimal mark.</param>
    /// <param name="labelColumn">The column of class indices; null where there is none.</param>
    /// <exception cref="FormatException">Names the line and the column.</exception>
    public static LabelledRows FromCsv(string file, string? labelColumn)
    {
        using var reader = new StreamReader(file);
        string[] header = [.. (reader.ReadLine() ?? "").Split(',').Select(name => name.Trim().Trim('"'))];
        int label = labelColumn is null ? -1 : Array.IndexOf(header, labelColumn);
        if (labelColumn is not null && label < 0)
            throw new FormatException($"'{file}' has no column '{labelColumn}'; it has {string.Join(", ", header.Take(20))}.");

        var rows = new List<LabelledRow>();
        for (int line = 2; reader.ReadLine() is { } text; line++)
        {
            if (text.Length == 0) continue;
            string[] cells = text.Split(',');
            if (cells.Length != header.Length)
                throw new FormatException($"'{file}', line {line}: {cells.Length} cells; the header has {header.Length}.");
            var row = new LabelledRow { Features = new float[header.Length - (label < 0 ? 0 : 1)] };
            for (int i = 0, k = 0; i < cells.Length; i++)
            {
                if (!float.TryParse(cells[i], NumberStyles.Float, CultureInfo.InvariantCulture, out float value))
                    throw new FormatException($"'{file}', line {line}, column '{header[i]}': '{cells[i]}' is not a number.");
                if (i == label) row.Label = (int)value;
                else row.Features[k++] = value;
            }
            rows.Add(row);
        }
        return rows.Count >= 2 ? new(rows) : throw new FormatException($"'{file}' holds {rows.Count} rows; two halves need at least 2.");
    }

    /// <summary>The IDX files of MNIST, compressed with gzip: pixels as x/255.</summary>
    public static LabelledRows FromIdx(string images, string labels)
    {
        byte[] pixels = Unpack(images), digits = Unpack(labels);
        const int ImageHeader = 16, LabelHeader = 8, PixelsOfAnImage = 28 * 28;
        return new([.. Enumerable.Range(0, digits.Length - LabelHeader).Select(i => new LabelledRow
        {
            Features = [.. pixels.AsSpan(ImageHeader + i * PixelsOfAnImage, PixelsOfAnImage).ToArray().Select(p => p / 255f)],
            Label = digits[LabelHeader + i],
        })]);
    }

    /// <summary>Points around one centre for each class, the same ones on every run.</summary>
    public static LabelledRows Generate(int rows, int width, int classes)
    {
        var random = new Random(1);
        float Noise() => (float)(random.NextDouble() + random.NextDouble() + random.NextDouble() - 1.5);
        float[][] centres = [.. Enumerable.Range(0, classes).Select(_ => Enumerable.Range(0, width).Select(_ => Noise()).ToArray())];
        return new([.. Enumerable.Range(0, rows).Select(i => new LabelledRow
        {
            Features = [.. centres[i % classes].Select(centre => centre + Noise())],
        })]);
    }

    private static byte[] Unpack(string file)
    {
        using var unpacked = new MemoryStream();
        using (var gzip = new GZipStream(File.OpenRead(file), CompressionMode.Decompress)) gzip.CopyTo(unpacked);
        return unpacked.ToArray();
    }
}
