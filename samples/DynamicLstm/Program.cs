// Recurrent networks made in C#, quantized dynamically with one call: an LSTM of 16 inputs and 32 units with a linear head of 5, then GRU
// and larger ones, each beside FP32 (ML.NET's OnnxTransformer, that is ONNX Runtime), one row of 100 steps at a time on one thread.
using System.Globalization;
using DynamicLstm;
using MLNet.Quantization;

const int Steps = 100, Head = 5;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
string work = Directory.CreateTempSubdirectory("dynamiclstm-").FullName;
try
{
    OnnxModel reference = NetworkBuilder.Sequence(16, Steps).Lstm(32).Dense(Head).Build();
    using (var first = new Comparison("LSTM 16 -> 32, head of 5", reference, Steps * 16, work))
    {
        Console.WriteLine($"Before: {reference}{Environment.NewLine}{reference.Summary()}{Environment.NewLine}");
        Console.WriteLine($"After:{Environment.NewLine}{OnnxModel.Load(first.QuantizedFile).Summary()}{Environment.NewLine}");
        Console.WriteLine($"{first.Report}{Environment.NewLine}");
        first.PrintScores(Head);
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
    using var comparison = new Comparison(name, network.Dense(Head).Build(), Steps * inputs, work);
    comparison.PrintLine();
}
