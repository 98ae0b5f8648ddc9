// Compares an ONNX model in FP32 (ML.NET's OnnxTransformer, that is ONNX Runtime) with its dynamic and static INT8 forms.
//   dotnet run --project samples/OnnxModel -c Release -- model.onnx data.csv [--label column]
// Without arguments: the MNIST network of the shared data where that is present, else a small made-up network on made-up data.
using System.Globalization;
using Microsoft.ML;
using MLNet.Quantization;
using OnnxModelSample;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
if (args.Length is not (0 or 2 or 4) || (args.Length == 4 && args[2] != "--label"))
{
    Console.Error.WriteLine("Usage: OnnxModel [model.onnx data.csv [--label column]]");
    return 2;
}

string work = Directory.CreateTempSubdirectory("onnxmodel-").FullName;
try
{
    (string file, LabelledRows data) = args.Length == 0 ? Example.Find(work) : (args[0], LabelledRows.FromCsv(args[1], args.ElementAtOrDefault(3)));
    Compare(file, data);
    return 0;
}
catch (Exception e) when (e is QuantizationException or FormatException or IOException or ArgumentException or InvalidOperationException)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}
finally
{
    Directory.Delete(work, recursive: true);
}

void Compare(string file, LabelledRows data)
{
    var mlContext = new MLContext(seed: 1);
    int count = data.Rows.Count, half = count / 2;
    IDataView all = data.View(mlContext, 0, count), first = data.View(mlContext, 0, half), second = data.View(mlContext, half, count);

    OnnxModel model = OnnxModel.Load(file);
    model = model.Bind(inputs: [(model.Inputs[0].Name, "Features")], outputs: [(model.Outputs[0].Name, "Score")]);
    Console.WriteLine($"{Path.GetFileName(file)}: {data.Width} inputs, {count:N0} rows; static INT8 is calibrated on one half and tried on the other, then the other way round");

    // FP32: ML.NET's own transformer, which names its output column as the model does.
    string output = model.Outputs[0].Name;
    ITransformer single = mlContext.Transforms.ApplyOnnxModel([output], [model.Inputs[0].Name], file)
        .Fit(mlContext.Transforms.CopyColumns(model.Inputs[0].Name, "Features").Fit(first).Transform(first));
    ITransformer float32 = mlContext.Transforms.CopyColumns(model.Inputs[0].Name, "Features").Fit(first).Append(single);

    ITransformer dynamic8 = mlContext.Quantization().QuantizeWeights(model).Fit(first);
    ITransformer staticOfFirst = Static(first), staticOfSecond = Static(second);

    Contender[] contenders =
    [
        new("FP32", ZipBytes(float32), Contender.Read(float32, all, output)),
        new("INT8 dynamic", ZipBytes(dynamic8), Contender.Read(dynamic8, all, "Score")),
        new("INT8 static", ZipBytes(staticOfFirst), [.. Contender.Read(staticOfSecond, first, "Score"), .. Contender.Read(staticOfFirst, second, "Score")]),
    ];
    for (int round = 0; round < 7; round++)
    {
        contenders[0].Time(float32, all, output, count);
        contenders[1].Time(dynamic8, all, "Score", count);
        contenders[2].Time(staticOfFirst, all, "Score", count);
    }
    Contender.Print(data, contenders);

    ITransformer Static(IDataView calibration) => mlContext.Quantization().CalibrateActivations(model)
        .Append(mlContext.Quantization().QuantizeWeights(model, new() { Activations = ActivationQuantization.Static }))
        .Fit(calibration);

    long ZipBytes(ITransformer transformer)
    {
        string zip = Path.Combine(work, "model.zip");
        mlContext.Model.Save(transformer, first.Schema, zip);
        return new FileInfo(zip).Length;
    }
}
