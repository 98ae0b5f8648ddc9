using MLNet.Quantization.Execution;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests.Pipeline;

/// <summary>Convolutional models on real data in static INT8 with nothing set: what it costs, counted row by row.</summary>
[TestClass]
public class ConvolutionalAccuracyTests
{
    /// <summary>Rows that ranges are taken from.</summary>
    private const int CalibrationRows = 500;

    public required TestContext TestContext { get; set; }

    /// <param name="name">Model.</param>
    /// <param name="accuracy">In float, percent.</param>
    /// <param name="mostLost">Points.</param>
    [TestMethod]
    [DataRow("mnist_cntk_cnn", 98.30, 0.2)]
    [DataRow("resnet8_cifar10", 76.13, 0.3)]
    [DataRow("kws_dscnn", 91.30, 0.3)]
    [DataRow("magika_v3_3", 96.81, 0.3)]
    public void KeepsItsAccuracy(string name, double accuracy, double mostLost)
    {
        var rows = name switch
        {
            "mnist_cntk_cnn" => SharedRows.MnistPixels(name),
            "magika_v3_3" => SharedRows.Files(name),
            "resnet8_cifar10" => SharedRows.Cifar(name, "test_batch.bin.gz"),
            _ => SharedRows.SpeechCommands(name),
        };
        float[] real = rows.Score(Program.Compile(rows.Model.Graph));
        Assert.AreEqual(accuracy, rows.Accuracy(real), 0.005);
        float[] scores;
        if (name == "resnet8_cifar10") scores = rows.Score(QuantizationRecipe.QuantizeStatic(rows.Model, SharedRows.Cifar(name, "calibration_batch.bin.gz").Calibrate(..CalibrationRows)).Compile());
        else
        {
            int half = rows.Count / 2;
            SharedRows first = rows.Part(..half), second = rows.Part(half..);
            scores = [.. Static(second, first), .. Static(first, second)];
        }
        TestContext.WriteLine($"{name}, static: {rows.Compare(real, scores)}");
        Assert.IsLessThanOrEqualTo(mostLost, accuracy - rows.Accuracy(scores));
    }

    /// <summary>One scale an image, without any calibration.</summary>
    [TestMethod]
    [DataRow("mnist_cntk_cnn", 0.2)]
    [DataRow("kws_dscnn", 0.3)]
    public void DynamicKeepsItsAccuracy(string name, double mostLost)
    {
        var rows = name == "kws_dscnn" ? SharedRows.SpeechCommands(name) : SharedRows.MnistPixels(name);
        var quantized = QuantizationRecipe.QuantizeDynamic(rows.Model);
        Assert.IsTrue(quantized.Report.Layers.All(l => l.IsInt8), quantized.Report.ToString());
        float[] real = rows.Score(Program.Compile(rows.Model.Graph)), scores = rows.Score(quantized.Compile());
        TestContext.WriteLine($"{name}, dynamic: {rows.Compare(real, scores)}");
        Assert.IsLessThanOrEqualTo(mostLost, rows.Accuracy(real) - rows.Accuracy(scores));
    }

    /// <summary>The scale of an image does not depend on its neighbours.</summary>
    [TestMethod]
    [DataRow("mnist_cntk_cnn")]
    [DataRow("kws_dscnn")]
    public void DynamicScoresARowAloneAsInABatch(string name)
    {
        var rows = (name == "kws_dscnn" ? SharedRows.SpeechCommands(name) : SharedRows.MnistPixels(name)).Part(..150);
        var program = QuantizationRecipe.QuantizeDynamic(rows.Model).Compile();
        float[] scores = rows.Score(program), alone = [.. Enumerable.Range(0, rows.Count).SelectMany(r => rows.Part(r..(r + 1)).Score(program))];
        CollectionAssert.AreEqual(Array.ConvertAll(scores, BitConverter.SingleToInt32Bits), Array.ConvertAll(alone, BitConverter.SingleToInt32Bits));
    }

    /// <summary>Calibrated on some rows, scores of others.</summary>
    private static float[] Static(SharedRows calibration, SharedRows rows) =>
        rows.Score(QuantizationRecipe.QuantizeStatic(rows.Model, calibration.Calibrate(..Math.Min(CalibrationRows, calibration.Count))).Compile());
}
