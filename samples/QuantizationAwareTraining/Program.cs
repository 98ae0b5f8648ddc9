// Networks defined in C#, trained in float and then with the rounding of few bits in the loop, without any file or download: a character
// LSTM and a text CNN that tell the language of the .NET SDK's own translated messages, and, where MNIST is given, a CNN that reads digits.
//   dotnet run --project samples/QuantizationAwareTraining -c Release [-- images-idx3-ubyte.gz labels-idx1-ubyte.gz]
// Without arguments: the digits of the shared data, where that is present.
using System.Globalization;
using Microsoft.ML;
using MLNet.Quantization;
using QuantizationAwareTraining;
using QuickStart;

const int Rows = 40_000, Held = 10_000;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
if (args.Length is not (0 or 2))
{
    Console.Error.WriteLine("Usage: QuantizationAwareTraining [images-idx3-ubyte.gz labels-idx1-ubyte.gz]");
    return 2;
}
string? sdk = SdkStrings.FindSdk();
if (sdk is null)
{
    Console.Error.WriteLine("This sample learns from the translated messages of the .NET SDK, and this installation holds none. Point DOTNET_ROOT at one that does.");
    return 1;
}
string folder = Directory.CreateTempSubdirectory("training-").FullName;
try
{
    var mlContext = new MLContext(seed: 1);
    LanguageData data = LanguageData.Read(sdk);
    int languages = SdkStrings.Languages.Length;
    var messages = new Trial(mlContext, View(data.Training.Take(Rows).Select(Message.Of)), View(data.Test.Take(Held).Select(Message.Of)), folder);
    NetworkBuilder characters = NetworkBuilder.Tokens(Message.Length, "Characters").Embedding(Message.Ids, 24);
    messages.Run(
        "Character LSTM", characters.Lstm(48, returnSequence: false, bidirectional: true).Dense(languages).Softmax().Build("Score"), learningRate: 4e-3, epochs: 4, roundedEpochs: 2, 8, 4);
    characters = NetworkBuilder.Tokens(Message.Length, "Characters").Embedding(Message.Ids, 24);
    messages.Run(
        "Text CNN", characters.Conv1D(64, 4).Relu().GlobalMaxPool().Dense(languages).Softmax().Build("Score"), learningRate: 2e-3, epochs: 4, roundedEpochs: 2, 8, 4, 2);

    if ((args.Length == 2 ? (args[0], args[1]) : Digit.Find()) is not (string images, string labels)) return 0;
    List<Digit> digits = Digit.Read(images, labels);
    int learned = digits.Count * 4 / 5;
    new Trial(mlContext, View(digits.Take(learned)), View(digits.Skip(learned)), folder).Run(
        "Digits",
        NetworkBuilder.Image(1, Digit.Side, Digit.Side, "Pixels").Conv2D(8, 3).BatchNormalization().Relu().MaxPool2D(2)
            .DepthwiseConv2D(3).BatchNormalization().Relu().Conv2D(16, 1).BatchNormalization().Relu().MaxPool2D(2).Flatten().Dense(10).Softmax().Build("Score"),
        learningRate: 3e-3, epochs: 10, roundedEpochs: 8, 8, 4, 2);
    return 0;

    IDataView View<TRow>(IEnumerable<TRow> rows) where TRow : class => mlContext.Data.LoadFromEnumerable(rows.ToList());
}
catch (Exception e) when (e is QuantizationException or IOException or InvalidDataException)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}
finally
{
    Directory.Delete(folder, recursive: true);
}
