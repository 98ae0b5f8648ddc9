// Trains ML.NET's character n-gram language identifier on the SDK's own translated messages, quantizes it to INT8, saves and loads it,
// and compares both models on messages that were held back. Needs nothing but the .NET SDK.
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Trainers;
using MLNet.Quantization;
using QuickStart;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
Console.OutputEncoding = Encoding.UTF8;
var clock = Stopwatch.StartNew();
void Say(string what) => Console.WriteLine($"[{clock.Elapsed.TotalSeconds,5:0.0} s] {what}");

string? sdk = SdkStrings.FindSdk();
if (sdk is null)
{
    Console.Error.WriteLine("""
        This sample learns from the translated messages of the .NET SDK (the folders cs, de, es, ... of sdk/VERSION), and this
        installation holds none: some Linux packages and container images leave them out. Install the SDK with Microsoft's
        dotnet-install script or packages, point DOTNET_ROOT at that installation and run again; or see samples/OnnxModel, which
        needs no text.
        """);
    return 1;
}

Say($"Reading the translated messages of the .NET SDK {Path.GetFileName(sdk)}");
LanguageData data = LanguageData.Read(sdk);
Say($"{data.Training.Count + data.Test.Count:N0} messages in {SdkStrings.Languages.Length} languages; {data.Test.Count:N0} held back");

var mlContext = new MLContext(seed: 1);
IDataView training = mlContext.Data.LoadFromEnumerable(data.Training);
IDataView test = mlContext.Data.LoadFromEnumerable(data.Test);

var featurizer = mlContext.Transforms.Conversion.MapValueToKey("Label", nameof(Sentence.Language))
    .Append(mlContext.Transforms.Text.TokenizeIntoCharactersAsKeys("Characters", nameof(Sentence.Text)))
    .Append(mlContext.Transforms.Text.ProduceHashedNgrams("Features", "Characters", numberOfBits: 16, ngramLength: 3))
    .Append(mlContext.Transforms.NormalizeLpNorm("Features"))
    .Fit(training);
IDataView features = mlContext.Data.Cache(featurizer.Transform(training), "Label", "Features");
Say("Training maximum entropy on 65,536 hashed character 1- to 3-grams");

// One thread makes the same model on every run.
var classifier = mlContext.MulticlassClassification.Trainers.SdcaMaximumEntropy(new SdcaMaximumEntropyMulticlassTrainer.Options
{
    L1Regularization = 0,
    L2Regularization = 1e-6f,
    MaximumNumberOfIterations = 5,
    NumberOfThreads = 1,
}).Fit(features);
var fitted = featurizer.Append(classifier)
    .Append(mlContext.Transforms.Conversion.MapKeyToValue("PredictedLanguage", "PredictedLabel").Fit(classifier.Transform(features)));

Say("Quantizing");
ITransformer quantized = mlContext.Quantization().Quantize(fitted, training, out QuantizationReport report);

string folder = Directory.CreateTempSubdirectory("quickstart-").FullName;
try
{
    string floatZip = Path.Combine(folder, "language.zip"), int8Zip = Path.Combine(folder, "language.int8.zip");
    mlContext.Model.Save(fitted, training.Schema, floatZip);
    mlContext.Model.Save(quantized, training.Schema, int8Zip);

    Say("Loading both zips in a fresh MLContext and scoring the messages held back");
    var fresh = new MLContext();
    ITransformer[] models = [fresh.Model.Load(floatZip, out _), fresh.Model.Load(int8Zip, out _)];
    IDataView[] scored = [.. models.Select(model => model.Transform(test))];
    MulticlassClassificationMetrics[] metrics = [.. scored.Select(view => fresh.MulticlassClassification.Evaluate(view))];
    string[][] languages = [.. scored.Select(view => view.GetColumn<string>("PredictedLanguage").ToArray())];

    Say("Timing the scoring stage (features made and cached), the models taking turns");
    IDataView testFeatures = fresh.Data.Cache(featurizer.Transform(test), "Features");
    ITransformer[] scorers = [.. models.Select(model => Scoreboard.ScoringStage(model, testFeatures.Schema))];
    double[] batch = Scoreboard.Rates(data.Test.Count, rounds: 15, [.. scorers.Select(scorer => (Action)(() => Scoreboard.ReadScores(scorer, testFeatures)))]);

    Say("Timing predictions one by one, from text to language");
    const int Single = 2000;
    PredictionEngine<Sentence, Verdict>[] engines =
        [.. models.Select(model => fresh.Model.CreatePredictionEngine<Sentence, Verdict>(model))];
    double[] single = Scoreboard.Rates(Single, rounds: 7, [.. engines.Select(engine => (Action)(() =>
    {
        foreach (Sentence sentence in data.Test.Take(Single)) engine.Predict(sentence);
    }))]);

    Console.WriteLine();
    Scoreboard.Print(
    [
        new("zip, bytes", new FileInfo(floatZip).Length, new FileInfo(int8Zip).Length, "N0"),
        new("weights, bytes", report.WeightBytesBefore, report.WeightBytesAfter, "N0"),
        new("accuracy, %", 100 * metrics[0].MicroAccuracy, 100 * metrics[1].MicroAccuracy, "0.000"),
        new("micro F1", Scoreboard.MicroF1(metrics[0].ConfusionMatrix), Scoreboard.MicroF1(metrics[1].ConfusionMatrix), "0.00000"),
        new("scoring stage, rows/s", batch[0], batch[1], "N0"),
        new("one by one, predictions/s", single[0], single[1], "N0"),
    ]);
    int flips = languages[0].Zip(languages[1]).Count(pair => pair.First != pair.Second);
    Console.WriteLine($"The models disagree on {flips:N0} of {data.Test.Count:N0} messages held back.");

    Console.WriteLine();
    Console.WriteLine($"{"FP32",-9}{"INT8",-9}sentence");
    foreach (string text in Sentences.All)
    {
        string[] verdicts = [.. engines.Select(engine => engine.Predict(new Sentence { Text = text }).PredictedLanguage)];
        Console.WriteLine($"{verdicts[0],-9}{verdicts[1],-9}{text}");
    }
}
finally
{
    Directory.Delete(folder, recursive: true);
}

Console.WriteLine();
Say("Done.");
return 0;
