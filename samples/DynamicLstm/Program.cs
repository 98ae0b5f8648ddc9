// Recurrent networks made in C#, quantized dynamically with one call: an LSTM of 16 inputs and 32 units with a linear head of 5, trained to
// tell after each character which of five languages it reads, then GRU and larger ones with random weights, each beside FP32 (ML.NET's
// OnnxTransformer, that is ONNX Runtime), one row of 100 steps at a time on one thread. Needs nothing but the .NET SDK.
using System.Globalization;
using DynamicLstm;
using Microsoft.ML;
using MLNet.Quantization;
using QuickStart;

const int Steps = CharacterRow.Steps, Head = 5;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
string? sdk = SdkStrings.FindSdk();
if (sdk is null)
{
    Console.Error.WriteLine("This sample learns from the translated messages of the .NET SDK, and this installation holds none. Point DOTNET_ROOT at one that does.");
    return 1;
}
string work = Directory.CreateTempSubdirectory("dynamiclstm-").FullName;
try
{
    OnnxModel reference = NetworkBuilder.Sequence(16, Steps).Lstm(32).Dense(Head).Build();
    var mlContext = new MLContext(seed: 1);
    var data = LanguageData.Read(sdk);
    List<CharacterRow> unseen = CharacterRow.Of(data.Test);
    IDataView messages = mlContext.Data.LoadFromEnumerable(CharacterRow.Of(data.Training)), test = mlContext.Data.LoadFromEnumerable(unseen);
    OnnxModel trained = mlContext.Quantization().Train(reference, messages, new() { NumberOfEpochs = 4, LearningRate = 5e-3, ValidationData = test, Progress = Say });
    using (var first = new Comparison("LSTM 16 -> 32, head of 5", trained, [.. unseen.Select(r => r.Input)], work))
    {
        Console.WriteLine($"Before: {trained}{Environment.NewLine}{trained.Summary()}{Environment.NewLine}");
        Console.WriteLine($"After:{Environment.NewLine}{OnnxModel.Load(first.QuantizedFile).Summary()}{Environment.NewLine}");
        Console.WriteLine($"{first.Report}{Environment.NewLine}");
        first.PrintScores(Head);
        first.PrintRight([.. unseen.Select(r => (int)r.Label[^1])], Head);
    }

    Console.WriteLine($"{"100 steps, one row",-28}{"FP32, µs",10}{"INT8, µs",10}{"faster",8}{"FP32, bytes",13}{"INT8, bytes",13}{"error",8}");
    foreach ((int inputs, int units) in new[] { (16, 32), (64, 128), (256, 512) })
    {
        Row($"LSTM {inputs} -> {units}, head of {Head}", inputs, NetworkBuilder.Sequence(inputs, Steps).Lstm(units));
        Row($"GRU {inputs} -> {units}, head of {Head}", inputs, NetworkBuilder.Sequence(inputs, Steps).Gru(units));
    }
    return 0;
}
catch (Exception e) when (e is QuantizationException or IOException)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}
finally
{
    Directory.Delete(work, recursive: true);
}

void Row(string name, int inputs, NetworkBuilder network)
{
    var random = new Random(1);
    float[] row = [.. Enumerable.Range(0, Steps * inputs).Select(_ => (random.NextSingle() * 2) - 1)];
    using var comparison = new Comparison(name, network.Dense(Head).Build(), [row], work);
    comparison.PrintLine();
}

void Say(TrainingProgress progress) =>
    Console.WriteLine($"epoch {progress.Epoch + 1}: loss {progress.Loss:0.0000}, held back {100 * progress.ValidationAccuracy:0.00} % of characters right, {progress.RowsPerSecond:N0} rows/s");
