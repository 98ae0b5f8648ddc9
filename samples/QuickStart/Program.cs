// Trains ML.NET's character n-gram language identifier on the SDK's own translated messages, quantizes it to INT8, saves and loads it,
// and compares both models on messages that were held back. Needs nothing but the .NET SDK.
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Microsoft.ML;
using Microsoft.ML.Trainers;
using QuickStart;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
Console.OutputEncoding = Encoding.UTF8;
var clock = Stopwatch.StartNew();
void Say(string what) => Console.WriteLine($"[{clock.Elapsed.TotalSeconds,5:0.0} s] {what}");

string? sdk = SdkStrings.FindSdk();
if (sdk is null)
{
    Console.Error.WriteLine("""
        This sample learns from the translated messages of the .NET SDK (sdk/VERSION/cs, de, es, ...), and this installation holds none:
        some Linux packages and container images leave them out. Install the SDK with dotnet-install or from Microsoft's packages, point
        DOTNET_ROOT at that installation and run again; or see samples/OnnxModel, which needs no text.
        """);
    return 1;
}

Say($"Reading the translated messages of the .NET SDK {Path.GetFileName(sdk)}");
var counts = new List<string>();
LanguageData data = LanguageData.Read(sdk, (language, messages) => counts.Add($"{language} {messages:N0}"));
Say($"{data.Training.Count + data.Test.Count:N0} messages ({string.Join(", ", counts)}); {data.Test.Count:N0} of them held back");

var mlContext = new MLContext(seed: 1);
IDataView training = mlContext.Data.LoadFromEnumerable(data.Training);

var featurizer = mlContext.Transforms.Conversion.MapValueToKey("Label", nameof(Sentence.Language))
    .Append(mlContext.Transforms.Text.TokenizeIntoCharactersAsKeys("Characters", nameof(Sentence.Text)))
    .Append(mlContext.Transforms.Text.ProduceHashedNgrams("Features", "Characters", numberOfBits: 16, ngramLength: 3))
    .Append(mlContext.Transforms.NormalizeLpNorm("Features"))
    .Fit(training);
IDataView features = mlContext.Data.Cache(featurizer.Transform(training), "Label", "Features");
Say($"Training: {data.Training.Count:N0} messages, 65,536 hashed character 1- to 3-grams, {counts.Count} languages");

// One thread: the same model on every run. It takes some seconds.
var classifier = mlContext.MulticlassClassification.Trainers.SdcaMaximumEntropy(new SdcaMaximumEntropyMulticlassTrainer.Options
{
    L2Regularization = 1e-6f,
    L1Regularization = 0,
    MaximumNumberOfIterations = 5,
    NumberOfThreads = 1,
}).Fit(features);
var model = featurizer.Append(classifier)
    .Append(mlContext.Transforms.Conversion.MapKeyToValue("PredictedLanguage", "PredictedLabel").Fit(classifier.Transform(features)));
Say("Trained.");
return 0;
