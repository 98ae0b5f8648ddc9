using System.Text;
using MLNet.Quantization.Numerics;
using MLNet.Quantization.Training;

namespace MLNet.Quantization.Tests.Training;

[TestClass]
public sealed class OptimizerTests
{
    private const double Rate = 0.01, Decay = 0.1;

    [TestMethod]
    [DataRow(TrainingOptimizer.Sgd, true, 37)]
    [DataRow(TrainingOptimizer.Sgd, false, 1)]
    [DataRow(TrainingOptimizer.Adam, true, 37)]
    [DataRow(TrainingOptimizer.Adam, false, 16)]
    [DataRow(TrainingOptimizer.AdamW, true, 37)]
    [DataRow(TrainingOptimizer.AdamW, false, 3)]
    [DataRow(TrainingOptimizer.AdamW, true, 0)]
    public void StepsAreThoseOfTheDefinition(TrainingOptimizer kind, bool decays, int count)
    {
        var options = new TrainerOptions { Optimizer = kind, WeightDecay = Decay };
        var optimizer = new Optimizer(options);
        var random = new SplitMix64(11);
        var p = Random(decays ? ParameterKind.Weight : ParameterKind.Other, count, random);
        double decay = decays ? Decay : 0;
        double[] w = Array.ConvertAll(p.Value.Data, v => (double)v), m = new double[count], v = new double[count];
        for (int t = 1; t <= 20; t++)
        {
            for (int i = 0; i < count; i++) p.Gradient.Data[i] = (float)(random.NextUniform() - 0.5);
            optimizer.Step([p], Rate);
            for (int i = 0; i < count; i++)
            {
                double g = p.Gradient.Data[i] + (kind == TrainingOptimizer.AdamW ? 0 : decay * w[i]);
                if (kind == TrainingOptimizer.Sgd)
                {
                    m[i] = (options.Momentum * m[i]) + g;
                    w[i] -= Rate * m[i];
                    continue;
                }
                m[i] = (options.Beta1 * m[i]) + ((1 - options.Beta1) * g);
                v[i] = (options.Beta2 * v[i]) + ((1 - options.Beta2) * g * g);
                double step = m[i] / (1 - Math.Pow(options.Beta1, t)) / (Math.Sqrt(v[i] / (1 - Math.Pow(options.Beta2, t))) + options.Epsilon);
                w[i] -= (Rate * step) + (kind == TrainingOptimizer.AdamW ? Rate * decay * w[i] : 0);
            }
        }
        for (int i = 0; i < count; i++) Assert.AreEqual(w[i], p.Value.Data[i], 2e-5, $"element {i}");
    }

    /// <summary>The first step of Adam is the rate, whenever a parameter comes: those of quantizers come when ranges are frozen.</summary>
    [TestMethod]
    [DataRow(TrainingOptimizer.Adam)]
    [DataRow(TrainingOptimizer.AdamW)]
    public void AParameterThatComesLateStartsAsAnyOther(TrainingOptimizer kind)
    {
        var optimizer = new Optimizer(new() { Optimizer = kind });
        Parameter early = new("early", new(1), ParameterKind.Other), late = new("late", new(1), ParameterKind.Other);
        early.Gradient.Data[0] = late.Gradient.Data[0] = 1;
        for (int i = 0; i < 500; i++) optimizer.Step([early], Rate);
        optimizer.Step([early, late], Rate);
        Assert.AreEqual(-Rate, late.Value.Data[0], 1e-6);
    }

    [TestMethod]
    public void StatisticsAreLeftAlone()
    {
        var p = new Parameter("s", new([2], [1, 2]), ParameterKind.Statistic);
        new Optimizer(new() { WeightDecay = 1 }).Step([p], 1);
        CollectionAssert.AreEqual(new float[] { 1, 2 }, p.Value.Data);
    }

    [TestMethod]
    [DataRow(TrainingOptimizer.Sgd)]
    [DataRow(TrainingOptimizer.Adam)]
    [DataRow(TrainingOptimizer.AdamW)]
    public void StateThatIsReadBackGoesOnWithTheSameBits(TrainingOptimizer kind)
    {
        var options = new TrainerOptions { Optimizer = kind, WeightDecay = Decay };
        var (first, second) = (new Optimizer(options), new Optimizer(options));
        var p = Random(ParameterKind.Weight, 19, new(2));
        Array.Fill(p.Gradient.Data, 0.3f);
        first.Step([p], Rate);
        var copy = new Parameter("w", new(p.Value.Dims, p.Value.Data), ParameterKind.Weight);
        Array.Fill(copy.Gradient.Data, 0.3f);
        using var stream = new MemoryStream();
        using (var writer = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true)) first.Write(writer);
        stream.Position = 0;
        second.Read(new(stream));
        first.Step([p], Rate);
        second.Step([copy], Rate);
        CollectionAssert.AreEqual(p.Value.Data, copy.Value.Data);
        Assert.AreEqual(first.Steps, second.Steps);
    }

    [TestMethod]
    public void RatesWarmUpAndFall()
    {
        var options = new TrainerOptions { LearningRate = 2, Schedule = LearningRateSchedule.Cosine, WarmUpSteps = 4 };
        Assert.AreEqual(0.5, options.RateAt(0, 0), 1e-12);
        Assert.AreEqual(2, options.RateAt(3, 0), 1e-12);
        Assert.AreEqual(1, options.RateAt(100, 0.5), 1e-12);
        Assert.AreEqual(0, options.RateAt(200, 1), 1e-12);
        Assert.AreEqual(2, (options with { Schedule = LearningRateSchedule.Constant }).RateAt(200, 1));
    }

    private static Parameter Random(ParameterKind kind, int count, SplitMix64 random) =>
        new("w", new([count], [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextUniform() - 0.5))]), kind);
}
