using MLNet.Quantization.Execution;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Pipeline;
using MLNet.Quantization.Tests.Pipeline;
using MLNet.Quantization.Training;

namespace MLNet.Quantization.Tests.Training;

/// <summary>Published models with 4-bit weights, which cost accuracy after training, learn it back from the float model's scores of rows without labels.</summary>
[TestClass]
public sealed class DistillationTests
{
    private const int CalibrationRows = 500;

    public required TestContext TestContext { get; init; }

    /// <param name="name">Model.</param>
    /// <param name="rate">First learning rate: pixels of 0 to 255 make small weights, which large steps destroy.</param>
    /// <param name="movingShare">Share of the epochs in which ranges and batch statistics move: those of 500 rows are worse than the model's own.</param>
    /// <param name="temperature">Where little is lost, all scores are to be kept, not the classes alone.</param>
    [TestMethod]
    [DataRow("resnet8_cifar10", 1e-4, 0.6, 2.0)]
    [DataRow("kws_dscnn", 2e-4, 0.05, 16.0)]
    public void HalfOfWhatFourBitsLoseIsLearnedBack(string name, double rate, double movingShare, double temperature)
    {
        SharedRows rows;
        float[] after, trained;
        if (name == "resnet8_cifar10")
        {
            rows = SharedRows.Cifar(name, "test_batch.bin.gz");
            (after, trained) = Scores(SharedRows.Cifar(name, "calibration_batch.bin.gz"), rows);
        }
        else
        {
            rows = SharedRows.SpeechCommands(name);
            var (first, second) = (rows.Part(..(rows.Count / 2)), rows.Part((rows.Count / 2)..));
            var (one, other) = (Scores(second, first), Scores(first, second));
            (after, trained) = ([.. one.After, .. other.After], [.. one.Trained, .. other.Trained]);
        }
        float[] real = rows.Score(Program.Compile(rows.Model.Graph));
        TestContext.WriteLine($"{name}: after training {rows.Compare(real, after)}");
        TestContext.WriteLine($"{name}: distilled      {rows.Compare(real, trained)}");
        Assert.IsGreaterThan(3.01, SharedRows.SignalToNoise(real, trained) - SharedRows.SignalToNoise(real, after), "half of the noise is gone");
        double lost = rows.Accuracy(real) - rows.Accuracy(after);
        Assert.IsGreaterThanOrEqualTo(rows.Accuracy(real) - (lost / 2), rows.Accuracy(trained), "half of the accuracy is back");

        (float[] After, float[] Trained) Scores(SharedRows calibration, SharedRows test) => DistillationTests.Scores(name, rate, movingShare, temperature, calibration, test);
    }

    /// <summary>Scores of 4-bit weights and 8-bit activations, quantized after training and distilled; both see the calibration rows alone.</summary>
    private static (float[] After, float[] Trained) Scores(string name, double rate, double movingShare, double temperature, SharedRows calibration, SharedRows rows)
    {
        var after = QuantizationRecipe.QuantizeStatic(calibration.Model, calibration.Calibrate(..CalibrationRows), new() { WeightBits = 4 });
        var unfolded = PreparedModel.Prepare(OnnxReader.ReadFile(SharedData.Model(name)), new() { FoldNormalization = false }).Graph;
        string output = Network.OutputFor(unfolded, TrainingLoss.Distillation);
        var network = new QuantizationAwareNetwork(unfolded, new() { WeightBits = 4, MovingShare = movingShare }, output, 0);
        var teacher = new FloatNetwork(unfolded, output, 0).Deployed();
        int scores = teacher.Outputs.Select(o => o.Name).ToList().IndexOf(output);
        using var run = teacher.Rent(SharedRows.ShapeOf(teacher.Inputs[0], CalibrationRows));
        calibration.Values.AsSpan(0, CalibrationRows * calibration.Features).CopyTo(run.Input<float>(0));
        run.Execute();
        int[] row = SharedRows.ShapeOf(teacher.Inputs[0], CalibrationRows)[1..];
        var data = new ArrayData([calibration.Values[..(CalibrationRows * calibration.Features)]], [row], run.Output<float>(scores).ToArray(), 32, 1);
        new Trainer(network, new Distillation(temperature), data, null, new() { Epochs = 20, LearningRate = rate, Schedule = LearningRateSchedule.Cosine }).Run();
        return (rows.Score(after.Compile()), rows.Score(network.Convert().Compile()));
    }
}
