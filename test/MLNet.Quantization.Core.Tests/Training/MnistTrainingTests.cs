using System.IO.Compression;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Pipeline;
using MLNet.Quantization.Training;

namespace MLNet.Quantization.Tests.Training;

/// <summary>Rows 0 to 3,999 of MNIST's test set to learn from, 4,000 to 4,999 to test with.</summary>
[TestClass]
public sealed class MnistTrainingTests
{
    private const int Train = 4000, Test = 1000;

    public required TestContext TestContext { get; init; }

    /// <summary>The mean over three seeds of what is lost against float, in points.</summary>
    /// <param name="network">784-256-256-10, or a small network with batch normalization and a depthwise layer.</param>
    /// <param name="mostLost2">With 2 bits and learned steps.</param>
    [TestMethod]
    [DataRow("perceptron", 5.0)]
    [DataRow("convolutional", 4.0)]
    public void FewBitsLearnWhatFloatKnows(string network, double mostLost2)
    {
        var (images, labels) = Load();
        int[] row = network == "perceptron" ? [784] : [1, 28, 28];
        var held = new ArrayData([images[(Train * 784)..]], [row], labels[Train..], 250, null);
        var sums = new double[5];
        double rate = network == "perceptron" ? 1e-3 : 3e-3;
        const int Seeds = 3;
        for (int seed = 1; seed <= Seeds; seed++)
        {
            var data = new ArrayData([images[..(Train * 784)]], [row], labels[..Train], 64, seed);
            var prepared = PreparedModel.Prepare(network == "perceptron" ? TrainedNetworks.Perceptron(seed) : TrainedNetworks.Convolutional(seed), new() { FoldNormalization = false }).Graph;
            string scores = Network.OutputFor(prepared, TrainingLoss.CrossEntropy);
            var real = new FloatNetwork(prepared, scores, 0);
            new Trainer(real, new CrossEntropy(), data, null, new() { Epochs = 10, LearningRate = rate, Schedule = LearningRateSchedule.Cosine }).Run();
            var trained = real.Graph.Trained();
            double[] found =
            [
                Accuracy(real.Deployed(), held), Accuracy(Calibrated(trained, data, 4).Compile(), held), Aware(trained, scores, 4, learnsSteps: false),
                Accuracy(Calibrated(trained, data, 2).Compile(), held), Aware(trained, scores, 2, learnsSteps: true),
            ];
            for (int i = 0; i < sums.Length; i++) sums[i] += found[i] / Seeds;

            double Aware(ModelGraph graph, string output, int bits, bool learnsSteps)
            {
                var aware = new QuantizationAwareNetwork(graph, new() { WeightBits = bits, ActivationBits = bits, LearnsSteps = learnsSteps }, output, 0);
                new Trainer(aware, new CrossEntropy(), data, null, new() { Epochs = 8, LearningRate = rate, Schedule = LearningRateSchedule.Cosine }).Run();
                AssertTrainedIsDeployed(aware, held);
                return Accuracy(aware.Convert().Compile(), held);
            }
        }
        TestContext.WriteLine(FormattableString.Invariant($"{network}: float {sums[0]:F2}, 4 bits {sums[1]:F2} -> {sums[2]:F2}, 2 bits {sums[3]:F2} -> {sums[4]:F2} (post-training -> trained)"));
        Assert.IsGreaterThanOrEqualTo(sums[0] - 0.3, sums[2], "4 bits");
        Assert.IsGreaterThanOrEqualTo(sums[0] - mostLost2, sums[4], "2 bits, learned steps");
    }

    /// <summary>What was trained is what scores: the same class on 99.9 % of rows, and codes that differ, by one step, in at most one of 10,000.</summary>
    private static void AssertTrainedIsDeployed(QuantizationAwareNetwork network, ArrayData data)
    {
        var program = network.Deployed();
        int scores = program.Outputs.Select(o => o.Name).ToList().IndexOf(network.Graph.Output), same = 0, rows = 0;
        foreach (var batch in data.Read(0))
        {
            var tape = network.TapeOf(batch.InputDims);
            batch.CopyTo(tape);
            tape.Forward();
            using var run = program.Rent(batch.InputDims);
            ((float[])batch.Inputs[0]).AsSpan(0, run.Input<float>(0).Length).CopyTo(run.Input<float>(0));
            run.Execute();
            float[] trained = tape.Output.Data, deployed = run.Output<float>(scores).ToArray();
            for (int r = 0; r < batch.Rows; r++)
                if (ClassOf(trained.AsSpan(r * 10, 10)) == ClassOf(deployed.AsSpan(r * 10, 10))) same++;
            rows += batch.Rows;
        }
        Assert.IsGreaterThanOrEqualTo(0.999 * rows, same);

        static int ClassOf(ReadOnlySpan<float> y)
        {
            int best = 0;
            for (int c = 1; c < y.Length; c++)
                if (y[c] > y[best]) best = c;
            return best;
        }
    }

    private static QuantizedModel Calibrated(ModelGraph trained, ArrayData data, int bits)
    {
        var model = PreparedModel.Prepare(trained);
        var session = new CalibrationSession(model, new());
        foreach (var batch in data.Read(0).Take(8))
        {
            using var run = session.Program.Rent(batch.InputDims);
            ((float[])batch.Inputs[0]).AsSpan(0, run.Input<float>(0).Length).CopyTo(run.Input<float>(0));
            session.Observe(run, 0);
        }
        return QuantizationRecipe.QuantizeStatic(model, session.Finish(), new() { WeightBits = bits, ActivationBits = bits });
    }

    private static double Accuracy(Program program, ArrayData data)
    {
        int right = 0;
        foreach (var batch in data.Read(0))
        {
            using var run = program.Rent(batch.InputDims);
            ((float[])batch.Inputs[0]).AsSpan(0, run.Input<float>(0).Length).CopyTo(run.Input<float>(0));
            run.Execute();
            right += new CrossEntropy().CountRight(new(run.OutputShape(0), run.Output<float>(0).ToArray()), batch.Labels)!.Value.Right;
        }
        return 100.0 * right / Test;
    }

    private static (float[] Images, float[] Labels) Load()
    {
        byte[] images = Unzipped("images-idx3-ubyte.gz"), labels = Unzipped("labels-idx1-ubyte.gz");
        return (Array.ConvertAll(images[16..((5000 * 784) + 16)], v => v / 255f), Array.ConvertAll(labels[8..5008], v => (float)v));
    }

    private static byte[] Unzipped(string name)
    {
        using var zipped = new GZipStream(File.OpenRead(SharedData.Path("datasets", "mnist_test_0_4999", name)), CompressionMode.Decompress);
        using var memory = new MemoryStream();
        zipped.CopyTo(memory);
        return memory.ToArray();
    }
}
