// Quantizes an image classifier that reads photographs through ML.NET's own image transforms, and compares it with FP32 (ML.NET's
// OnnxTransformer, that is ONNX Runtime).
//   dotnet run --project samples/ImageClassification -c Release -- model.onnx folder [--sheet sheet.png]
// The folder holds pictures and labels.tsv: file name, class number, name of the class. One half calibrates, the other is classified.
// Without arguments: SqueezeNet and the pictures of the shared data, where that is present.
using System.Diagnostics;
using System.Globalization;
using ImageClassificationSample;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;
using MLNet.Quantization;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
string? sheet = args.Length is 2 or 4 && args[^2] == "--sheet" ? args[^1] : null;
string[] paths = sheet is null ? args : args[..^2];
if (paths.Length == 0) paths = SharedData.Find() is { } found ? [found.Model, found.Pictures] : [];
if (paths.Length != 2)
{
    Console.Error.WriteLine("Usage: ImageClassification model.onnx folder [--sheet sheet.png]; there is no shared data beside the project to take instead.");
    return 2;
}
try
{
    Run(paths[0], paths[1], sheet ?? "contact-sheet.png");
    return 0;
}
catch (Exception e) when (e is QuantizationException or FormatException or IOException or ArgumentException or InvalidOperationException)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}

static void Run(string modelPath, string folder, string sheetPath)
{
    var mlContext = new MLContext(seed: 1);
    mlContext.ComponentCatalog.RegisterAssembly(typeof(MeanOfImageNet).Assembly);
    var pictures = Picture.ReadAll(folder);
    List<Picture> calibration = [.. pictures.Where((_, i) => i % 2 == 0).Take(500)], test = [.. pictures.Where((_, i) => i % 2 == 1)];
    Console.WriteLine($"{Path.GetFileName(modelPath)}: {calibration.Count} pictures to calibrate, {test.Count} others to classify");

    // ML.NET's image transforms: planes of blue, green and red, less the mean of each.
    OnnxModel model = OnnxModel.Load(modelPath);
    string input = model.Inputs[0].Name, output = model.Outputs[0].Name;
    var pixels = mlContext.Transforms.LoadImages("Image", folder, nameof(Picture.File))
        .Append(mlContext.Transforms.ResizeImages("Image", Picture.Side, Picture.Side))
        .Append(mlContext.Transforms.ExtractPixels("Raw", "Image", orderOfExtraction: ImagePixelExtractingEstimator.ColorsOrder.ABGR))
        .Append(mlContext.Transforms.CustomMapping(new MeanOfImageNet().GetMapping(), MeanOfImageNet.Contract));

    model = model.Bind(inputs: [(input, "Pixels")], outputs: [(output, "Score")]);
    var q = mlContext.Quantization();
    ITransformer int8 = pixels
        .Append(q.CalibrateActivations(model))
        .Append(q.QuantizeWeights(model, new() { Activations = ActivationQuantization.Static }))
        .Fit(mlContext.Data.LoadFromEnumerable(calibration));
    ITransformer float32 = pixels
        .Append(mlContext.Transforms.CopyColumns(input, "Pixels"))
        .Append(mlContext.Transforms.ApplyOnnxModel([output], [input], modelPath))
        .Fit(mlContext.Data.LoadFromEnumerable(test.Take(1)));

    IDataView rows = mlContext.Data.LoadFromEnumerable(test);
    var (before, wasted) = Classify(float32, rows, output);
    var (after, spent) = Classify(int8, rows, "Score");

    string zip = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid()}.zip");
    try
    {
        mlContext.Model.Save(int8, rows.Schema, zip);
        int[] loaded = Classify(mlContext.Model.Load(zip, out _), mlContext.Data.LoadFromEnumerable(test.Take(8)), "Score").Classes;
        if (!loaded.SequenceEqual(after.Take(8))) throw new InvalidOperationException("The saved pipeline classifies otherwise.");
        Console.WriteLine();
        Console.WriteLine($"{"",-26}{"FP32",12}{"INT8",12}");
        Console.WriteLine($"{"model, bytes",-26}{new FileInfo(modelPath).Length,12:N0}{new FileInfo(zip).Length,12:N0}");
        Console.WriteLine($"{"top-1, %",-26}{Accuracy(before, test),12:F1}{Accuracy(after, test),12:F1}");
        Console.WriteLine($"{"pictures/s, from file",-26}{test.Count / wasted,12:F0}{test.Count / spent,12:F0}");
        Console.WriteLine($"They disagree on {before.Zip(after).Count(p => p.First != p.Second)} of {test.Count} pictures.");
    }
    finally
    {
        File.Delete(zip);
    }

    ContactSheet.Write(sheetPath, folder, test, before, after, pictures.GroupBy(p => p.Class).ToDictionary(g => g.Key, g => g.First().Name));
    Console.WriteLine($"Contact sheet: {Path.GetFullPath(sheetPath)}");
}

static (int[] Classes, double Seconds) Classify(ITransformer pipeline, IDataView rows, string column)
{
    long start = Stopwatch.GetTimestamp();
    int[] classes = [.. pipeline.Transform(rows).GetColumn<float[]>(column).Select(scores => Array.IndexOf(scores, scores.Max()))];
    return (classes, Stopwatch.GetElapsedTime(start).TotalSeconds);
}

static double Accuracy(int[] found, List<Picture> pictures) => 100.0 * found.Zip(pictures).Count(p => p.First == p.Second.Class) / pictures.Count;
