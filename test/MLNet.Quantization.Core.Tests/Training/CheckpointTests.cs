using System.Security.Cryptography;
using MLNet.Quantization.Numerics;
using MLNet.Quantization.Pipeline;
using MLNet.Quantization.Training;

namespace MLNet.Quantization.Tests.Training;

[TestClass]
public sealed class CheckpointTests
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.checkpoint");

    [TestCleanup]
    public void Delete() => File.Delete(_path);

    [TestMethod]
    [DataRow(TrainingOptimizer.Sgd, null, 1e-3)]
    [DataRow(TrainingOptimizer.Adam, null, 1e-3)]
    [DataRow(TrainingOptimizer.AdamW, 2, 1e-3)]
    [DataRow(TrainingOptimizer.Sgd, 2, 3.0)]
    [DataRow(TrainingOptimizer.Adam, 3, 0.3)]
    public void GoingOnGivesTheBitsOfAnUninterruptedRun(TrainingOptimizer optimizer, int? patience, double rate)
    {
        for (int stop = 1; stop < 8; stop++)
        {
            File.Delete(_path);
            var options = new TrainerOptions { Optimizer = optimizer, Epochs = 8, LearningRate = rate, Schedule = LearningRateSchedule.Cosine, WarmUpSteps = 5, Patience = patience };
            var (whole, parts) = (MadeUpRows.Network(), MadeUpRows.Network());
            int epochs = 0, again = 0;
            TrainerTests.Run(whole, options with { Progress = _ => epochs++ });
            using (var source = new CancellationTokenSource())
            {
                try
                {
                    TrainerTests.Run(parts, options with { CheckpointPath = _path, CancellationToken = source.Token, Progress = p => { again++; if (p.Epoch + 1 == stop) source.Cancel(); } });
                }
                catch (OperationCanceledException)
                {
                }
            }
            if (again < epochs)
            {
                parts = MadeUpRows.Network();
                TrainerTests.Run(parts, options with { CheckpointPath = _path, Progress = _ => again++ });
            }
            Assert.AreEqual(epochs, again, $"stopped after {stop}");
            CollectionAssert.AreEqual(MadeUpRows.Bits(whole), MadeUpRows.Bits(parts), $"stopped after {stop}");
        }
    }

    /// <summary>Stopped before, at and after the epoch in which ranges are frozen and normalizations folded.</summary>
    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void QuantizationGoesOnWithTheSameBits(bool learnsSteps)
    {
        const int Rows = 40, Epochs = 5;
        var random = new SplitMix64(3);
        float[] images = [.. Enumerable.Range(0, Rows * 784).Select(_ => (float)random.NextUniform())], labels = [.. Enumerable.Range(0, Rows).Select(r => (float)(r % 10))];
        var data = new ArrayData([images], [[1, 28, 28]], labels, 16, seed: 1);
        byte[] whole = Trained(new() { Epochs = Epochs });
        for (int stop = 1; stop < Epochs; stop++)
        {
            File.Delete(_path);
            using var source = new CancellationTokenSource();
            var options = new TrainerOptions { Epochs = Epochs, CheckpointPath = _path };
            Assert.ThrowsExactly<OperationCanceledException>(() => Trained(options with { CancellationToken = source.Token, Progress = p => { if (p.Epoch + 1 == stop) source.Cancel(); } }));
            CollectionAssert.AreEqual(whole, Trained(options), $"stopped after {stop}");
        }

        byte[] Trained(TrainerOptions options)
        {
            var prepared = PreparedModel.Prepare(TrainedNetworks.Convolutional(1), new() { FoldNormalization = false }).Graph;
            var network = new QuantizationAwareNetwork(prepared, new() { WeightBits = 4, ActivationBits = 4, LearnsSteps = learnsSteps }, Network.OutputFor(prepared, TrainingLoss.CrossEntropy), 1);
            new Trainer(network, new CrossEntropy(), data, data, options).Run();
            return [.. network.Parameters.SelectMany(p => p.Value.Data).SelectMany(BitConverter.GetBytes)];
        }
    }

    [TestMethod]
    public void AnotherRateIsNotTakenForTheSameTraining()
    {
        TrainerTests.Run(MadeUpRows.Network(), new() { Epochs = 2, CheckpointPath = _path });
        Assert.ThrowsExactly<TrainingException>(() => TrainerTests.Run(MadeUpRows.Network(), new() { Epochs = 2, CheckpointPath = _path, LearningRate = 0.5 }));
    }

    /// <summary>Same nodes and shapes, other weights: another model.</summary>
    [TestMethod]
    public void AnotherModelsCheckpointIsRefused()
    {
        TrainerTests.Run(MadeUpRows.Network(), new() { Epochs = 2, CheckpointPath = _path });
        var other = MadeUpRows.Network();
        other.Parameters[0].Value.Data[0] += 1;
        byte[] before = MadeUpRows.Bits(other);
        var e = Assert.ThrowsExactly<TrainingException>(() => TrainerTests.Run(other, new() { Epochs = 2, CheckpointPath = _path }));
        Assert.Contains("another model", e.Message);
        Assert.Contains("numbers that training starts from", e.Message);
        CollectionAssert.AreEqual(before, MadeUpRows.Bits(other));
    }

    [TestMethod]
    public void AnEndThatIsNotFiniteDoesNotReplaceTheGoodCheckpoint()
    {
        TrainerTests.Run(MadeUpRows.Network(), new() { Epochs = 1, CheckpointPath = _path });
        File.Delete(_path);
        try
        {
            TrainerTests.Run(MadeUpRows.Network(), new() { Epochs = 1, CheckpointPath = _path, Optimizer = TrainingOptimizer.Sgd, LearningRate = double.MaxValue });
        }
        catch (TrainingException)
        {
        }
        Assert.IsFalse(File.Exists(_path), "parameters that are not finite were written as a checkpoint");
    }

    [TestMethod]
    public void DamageIsATypedError()
    {
        TrainerTests.Run(MadeUpRows.Network(), new() { Epochs = 1, CheckpointPath = _path });
        byte[] good = File.ReadAllBytes(_path);
        for (int at = 0; at < good.Length; at += 13)
        {
            byte[] bad = [.. good];
            bad[at] ^= 0x40;
            Refused(bad);
            Refused(good[..at]);
        }
        // A right checksum over a body that ends early.
        byte[] body = good[..(good.Length - SHA256.HashSizeInBytes - 40)];
        Refused([.. body, .. SHA256.HashData(body)]);

        void Refused(byte[] bytes)
        {
            File.WriteAllBytes(_path, bytes);
            Assert.ThrowsExactly<TrainingException>(() => TrainerTests.Run(MadeUpRows.Network(), new() { Epochs = 1, CheckpointPath = _path }));
        }
    }
}
