// Defines a network in C#, trains it in float on the .NET SDK's own translated messages, then trains it on with 8, 4 and 2 bits in the loop,
// and compares what comes out on messages that were held back. Needs nothing but the .NET SDK.
using System.Diagnostics;
using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using MLNet.Quantization;
using QuickStart;

const int Bits = 11, Rows = 40_000, Held = 10_000;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
string? sdk = SdkStrings.FindSdk();
if (sdk is null)
{
    Console.Error.WriteLine("This sample learns from the translated messages of the .NET SDK, and this installation holds none. Point DOTNET_ROOT at one that does.");
    return 1;
}

var clock = Stopwatch.StartNew();
LanguageData data = LanguageData.Read(sdk);
var mlContext = new MLContext(seed: 1);
IDataView messages = mlContext.Data.LoadFromEnumerable(data.Training.Take(Rows)), unseen = mlContext.Data.LoadFromEnumerable(data.Test.Take(Held));
var featurizer = mlContext.Transforms.Conversion.MapValueToKey("Label", nameof(Sentence.Language))
    .Append(mlContext.Transforms.Text.TokenizeIntoCharactersAsKeys("Characters", nameof(Sentence.Text)))
    .Append(mlContext.Transforms.Text.ProduceHashedNgrams("Features", "Characters", numberOfBits: Bits, ngramLength: 3))
    .Append(mlContext.Transforms.NormalizeLpNorm("Features"))
    .Fit(messages);
IDataView training = mlContext.Data.Cache(featurizer.Transform(messages), "Label", "Features");
IDataView test = mlContext.Data.Cache(featurizer.Transform(unseen), "Label", "Features");

OnnxModel network = new NetworkBuilder(1 << Bits, "Features").Dense(64).Relu().Dense(64).Relu().Dense(SdkStrings.Languages.Length).Softmax().Build("Score");
TrainingProgress reached = new(0, 0, null, null, 0, 0);
OnnxModel trained = mlContext.Quantization().Train(network, training, new() { NumberOfEpochs = 4, ValidationData = test, Progress = Say });
Console.WriteLine($"{"",-28}{"right, %",10}{"zip, bytes",12}");
string folder = Directory.CreateTempSubdirectory("training-").FullName;
try
{
    string file = Path.Combine(folder, "network.onnx");
    trained.SaveAsOnnx(file);
    Console.WriteLine($"{"FP32",-28}{100 * reached.ValidationAccuracy,10:0.00}{new FileInfo(file).Length,12:N0}");
    foreach (int bits in new[] { 8, 4, 2 })
    {
        QuantizedModelTransformer quantized = mlContext.Quantization()
            .QuantizationAwareTraining(trained, new() { WeightBits = bits, ActivationBits = bits, LearnedStepSize = bits < 8, NumberOfEpochs = 2 })
            .Fit(training);
        string zip = Path.Combine(folder, "network.zip");
        mlContext.Model.Save(quantized, training.Schema, zip);
        Console.WriteLine($"{$"trained with {bits} bits",-28}{Right(mlContext.Model.Load(zip, out _).Transform(test)),10:0.00}{new FileInfo(zip).Length,12:N0}");
    }
}
finally
{
    Directory.Delete(folder, recursive: true);
}
return 0;

void Say(TrainingProgress progress)
{
    reached = progress;
    Console.WriteLine($"[{clock.Elapsed.TotalSeconds,5:0.0} s] epoch {progress.Epoch + 1}: loss {progress.Loss:0.0000}, held back {100 * progress.ValidationAccuracy:0.00} % right, {progress.RowsPerSecond:N0} rows/s");
}

// Keys count from 1.
double Right(IDataView scored) =>
    100 * scored.GetColumn<float[]>("Score").Zip(scored.GetColumn<uint>("Label")).Average(row => Array.IndexOf(row.First, row.First.Max()) + 1 == row.Second ? 1.0 : 0.0);
