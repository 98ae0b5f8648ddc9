using Microsoft.ML;
using Microsoft.ML.Data;
using QuickStart;

namespace MLNet.Quantization.Tests.Training;

/// <summary>An LSTM that tells the language of the .NET SDK's messages by their characters, trained in float and then for INT8.</summary>
[TestClass]
public sealed class LanguageTests
{
    private const int Length = 32, Ids = 1024, Train = 8000, Held = 4000, Seeds = 3;

    public required TestContext TestContext { get; init; }

    /// <summary>The mean of three seeds: 8 bits lose at most 0.1 points of float's accuracy.</summary>
    [TestMethod]
    public void EightBitsKeepWhatTheLstmLearned()
    {
        string? sdk = SdkStrings.FindSdk();
        if (sdk is null) Assert.Inconclusive("This installation of the .NET SDK holds no translated messages.");
        var data = LanguageData.Read(sdk);
        double real = 0, after = 0, aware = 0;
        for (int seed = 1; seed <= Seeds; seed++)
        {
            var ml = new MLContext(seed);
            var q = ml.Quantization();
            IDataView training = ml.Data.LoadFromEnumerable(data.Training.Take(Train).Select(Row.Of).ToList()), held = ml.Data.LoadFromEnumerable(data.Test.Take(Held).Select(Row.Of).ToList());
            var network = NetworkBuilder.Tokens(Length, "Characters", seed).Embedding(Ids, 16).Lstm(32, returnSequence: false, bidirectional: true).Dense(13).Softmax().Build("Score");
            double reached = 0;
            var trained = q.Train(network, training, new() { NumberOfEpochs = 8, LearningRate = 5e-3, BatchSize = 32, Seed = seed, ValidationData = held, Progress = p => reached = p.ValidationAccuracy!.Value });
            real += 100 * reached / Seeds;
            after += Right(q.QuantizeWeights(trained).Fit(training).Transform(held)) / Seeds;
            var int8 = q.QuantizationAwareTraining(trained, new() { NumberOfEpochs = 2, LearningRate = 1e-3, Seed = seed }).Fit(training);
            Assert.IsTrue(int8.Report.Layers.All(l => l.IsInt8), int8.Report.ToString());
            aware += Right(int8.Transform(held)) / Seeds;
        }
        TestContext.WriteLine(FormattableString.Invariant($"float {real:F2}, 8 bits after training {after:F2} (dynamic), trained with 8 bits {aware:F2} % right"));
        Assert.IsGreaterThan(75, real, "float learned something");
        Assert.IsGreaterThanOrEqualTo(real - 0.1, aware);
    }

    private static double Right(IDataView scored) =>
        100 * scored.GetColumn<float[]>("Score").Zip(scored.GetColumn<uint>("Label")).Average(row => Array.IndexOf(row.First, row.First.Max()) + 1 == row.Second ? 1.0 : 0.0);

    private sealed class Row
    {
        [VectorType(Length)]
        public long[] Characters { get; set; } = [];

        [KeyType(13)]
        public uint Label { get; set; }

        public static Row Of(Sentence message)
        {
            var ids = new long[Length];
            int count = Math.Min(Length, message.Text.Length);
            for (int i = 0; i < count; i++) ids[Length - count + i] = 1 + (message.Text[i] % (Ids - 1));
            return new() { Characters = ids, Label = (uint)Array.IndexOf(SdkStrings.Languages, message.Language) };
        }
    }
}
