using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Data;
using MLNet.Quantization;

namespace QuantizationAwareTraining;

/// <summary>Trains one network in float, then on with the rounding of some bits in the loop, and compares what comes out on rows that were held back.</summary>
internal sealed class Trial(MLContext mlContext, IDataView training, IDataView test, string folder)
{
    /// <param name="name">Of the network.</param>
    /// <param name="network">Random weights; its output is "Score".</param>
    /// <param name="learningRate">At the start; it falls to 0 along a cosine.</param>
    /// <param name="epochs">In float.</param>
    /// <param name="roundedEpochs">Then, with the rounding in the loop.</param>
    /// <param name="bits">Of weights and activations.</param>
    /// <returns>The network trained in float.</returns>
    public OnnxModel Run(string name, OnnxModel network, double learningRate, int epochs, int roundedEpochs, params int[] bits)
    {
        var clock = Stopwatch.StartNew();
        TrainingProgress reached = new(0, 0, null, null, 0, 0);
        Console.WriteLine($"{name}: {network}");
        OnnxModel trained = mlContext.Quantization().Train(network, training, new() { NumberOfEpochs = epochs, LearningRate = learningRate, ValidationData = test, Progress = Say });
        string file = Path.Combine(folder, "network.onnx"), zip = Path.Combine(folder, "network.zip");
        trained.SaveAsOnnx(file);
        Console.WriteLine($"{"",-28}{"right, %",10}{"bytes",12}");
        Console.WriteLine($"{"FP32",-28}{100 * reached.ValidationAccuracy,10:0.00}{new FileInfo(file).Length,12:N0}");
        foreach (int width in bits)
        {
            QuantizedModelTransformer quantized = mlContext.Quantization()
                .QuantizationAwareTraining(trained, new() { WeightBits = width, ActivationBits = width, LearnedStepSize = width < 8, NumberOfEpochs = roundedEpochs, LearningRate = learningRate })
                .Fit(training);
            mlContext.Model.Save(quantized, training.Schema, zip);
            Console.WriteLine($"{$"trained with {width} bits",-28}{Right(mlContext.Model.Load(zip, out _).Transform(test)),10:0.00}{new FileInfo(zip).Length,12:N0}");
        }
        Console.WriteLine();
        return trained;

        void Say(TrainingProgress progress)
        {
            reached = progress;
            Console.WriteLine($"[{clock.Elapsed.TotalSeconds,5:0.0} s] epoch {progress.Epoch + 1}: loss {progress.Loss:0.0000}, held back {100 * progress.ValidationAccuracy:0.00} % right, {progress.RowsPerSecond:N0} rows/s");
        }
    }

    // Keys count from 1.
    private static double Right(IDataView scored) =>
        100 * scored.GetColumn<float[]>("Score").Zip(scored.GetColumn<uint>("Label")).Average(row => Array.IndexOf(row.First, row.First.Max()) + 1 == row.Second ? 1.0 : 0.0);
}
