using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace ImageClassificationSample;

/// <summary>A photograph and what it shows.</summary>
internal sealed class Picture
{
    /// <summary>Pictures are drawn to so many pixels a side.</summary>
    public const int Side = 224;

    public string File { get; set; } = "";

    public int Class { get; set; }

    [NoColumn]
    public string Name { get; set; } = "";

    /// <summary>From labels.tsv of the folder: file, class number, name.</summary>
    public static List<Picture> ReadAll(string folder)
    {
        string labels = Path.Combine(folder, "labels.tsv");
        if (!System.IO.File.Exists(labels)) throw new FileNotFoundException($"There is no '{labels}'.");
        var pictures = new List<Picture>();
        foreach (string line in System.IO.File.ReadLines(labels))
        {
            string[] parts = line.Split('\t');
            if (parts.Length < 2 || !int.TryParse(parts[1], CultureInfo.InvariantCulture, out int number)) continue; // the heading
            string name = parts.Length > 2 ? parts[2] : parts[1];
            // WordNet's names begin with a number.
            pictures.Add(new() { File = parts[0], Class = number, Name = name[(name.IndexOf('_', StringComparison.Ordinal) + 1)..].Replace('_', ' ') });
        }
        return pictures.Count >= 2 ? pictures : throw new FormatException($"'{labels}' names {pictures.Count} pictures, needed are two at least.");
    }
}

/// <summary>Where the shared model and pictures are.</summary>
internal static class SharedData
{
    public static (string Model, string Pictures)? Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string model = Path.Combine(folder.FullName, "shared", "data", "models", "squeezenet1_1_imagenet", "model.onnx");
            string pictures = Path.Combine(folder.FullName, "shared", "data", "datasets", "imagenet_sample_1000");
            if (File.Exists(model) && Directory.Exists(pictures)) return (model, pictures);
        }
        return null;
    }
}

internal sealed class RawPixels
{
    [VectorType(3 * Picture.Side * Picture.Side)]
    public float[] Raw { get; set; } = [];
}

internal sealed class CentredPixels
{
    [VectorType(3 * Picture.Side * Picture.Side)]
    public float[] Pixels { get; set; } = [];
}

/// <summary>Takes the mean of ImageNet's colours away, plane by plane: blue, green, red. Named, so that a saved pipeline finds it again.</summary>
[CustomMappingFactoryAttribute(Contract)]
internal sealed class MeanOfImageNet : CustomMappingFactory<RawPixels, CentredPixels>
{
    public const string Contract = "MeanOfImageNet";

    private static readonly float[] Means = [103.94f, 116.78f, 123.68f];

    public override Action<RawPixels, CentredPixels> GetMapping() => static (raw, centred) =>
    {
        const int plane = Picture.Side * Picture.Side;
        centred.Pixels = new float[raw.Raw.Length];
        for (int i = 0; i < raw.Raw.Length; i++) centred.Pixels[i] = raw.Raw[i] - Means[i / plane];
    };
}
