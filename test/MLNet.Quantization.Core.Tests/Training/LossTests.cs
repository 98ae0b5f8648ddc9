using MLNet.Quantization.Numerics;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Training;

namespace MLNet.Quantization.Tests.Training;

[TestClass]
public sealed class LossTests
{
    private const int Rows = 5, Width = 3;

    /// <summary>Outputs are float: their steps are, too, and the loss is summed in double.</summary>
    private const float Step = 1f / 1024;
    private const double Tolerance = 2e-5;

    [TestMethod]
    [DataRow("cross-entropy")]
    [DataRow("binary")]
    [DataRow("squared")]
    [DataRow("distillation")]
    public void TheGradientIsTheSlope(string kind)
    {
        var (loss, labels) = Make(kind);
        var random = new SplitMix64(3);
        var output = new Values<float>(Rows, Width);
        for (int i = 0; i < output.Count; i++) output.Data[i] = (float)((4 * random.NextUniform()) - 2);
        var gradient = new Values<float>(Rows, Width);
        Array.Fill(gradient.Data, 100);
        loss.Evaluate(output, labels, gradient, 0);
        for (int i = 0; i < output.Count; i++)
        {
            float at = output.Data[i], up = at + Step, down = at - Step;
            output.Data[i] = up;
            double above = loss.Evaluate(output, labels, null, 0);
            output.Data[i] = down;
            double below = loss.Evaluate(output, labels, null, 0);
            output.Data[i] = at;
            Assert.AreEqual((above - below) / ((double)up - down), gradient.Data[i], Tolerance, $"{kind}, element {i}");
        }
    }

    [TestMethod]
    [DataRow("cross-entropy")]
    [DataRow("binary")]
    public void GreatScoresDoNotOverflow(string kind)
    {
        var (loss, labels) = Make(kind);
        var output = new Values<float>(Rows, Width);
        for (int i = 0; i < output.Count; i++) output.Data[i] = i % 2 == 0 ? 3e38f : -3e38f;
        var gradient = new Values<float>(Rows, Width);
        Assert.IsTrue(double.IsFinite(loss.Evaluate(output, labels, gradient, 0)));
        Assert.IsTrue(Array.TrueForAll(gradient.Data, float.IsFinite));
    }

    [TestMethod]
    [DataRow(3f)]
    [DataRow(-1f)]
    [DataRow(0.5f)]
    [DataRow(float.NaN)]
    [DataRow(float.PositiveInfinity)]
    [DataRow(1e20f)]
    public void ALabelOutOfRangeIsNamed(float label)
    {
        float[] labels = [0, 1, label, 2, 0];
        var e = Assert.ThrowsExactly<TrainingException>(() => new CrossEntropy().Evaluate(new(Rows, Width), labels, null, 100));
        Assert.AreEqual(102, e.Row);
        Assert.Contains("102", e.Message);
        Assert.Contains("0 to 2", e.Message);
        Assert.ThrowsExactly<TrainingException>(() => new BinaryCrossEntropy().Evaluate(new(Rows, 1), labels[..2].Concat([label, 0, 0]).ToArray(), null, 100));
    }

    [TestMethod]
    [DataRow("cross-entropy")]
    [DataRow("binary")]
    [DataRow("squared")]
    [DataRow("distillation")]
    public void TooFewLabelsAreATypedError(string kind)
    {
        var (loss, labels) = Make(kind);
        Assert.ThrowsExactly<TrainingException>(() => loss.Evaluate(new(Rows, Width), labels.AsSpan(0, labels.Length - 1), null, 0));
    }

    /// <summary>[rows, steps, classes], as a network has that tags each step.</summary>
    [TestMethod]
    public void EachStepOfASequenceHasItsLabel()
    {
        var output = new Values<float>([2, 2, 3], [1, 2, 3, 3, 2, 1, 2, 3, 1, 0, 0, 0]);
        var gradient = new Values<float>(2, 2, 3);
        double total = Math.Exp(1) + Math.Exp(2) + Math.Exp(3);
        double expected = (-Math.Log(Math.Exp(1) / total) - Math.Log(Math.Exp(1) / total) - Math.Log(Math.Exp(3) / total) - Math.Log(1 / 3d)) / 4;
        var loss = new CrossEntropy();
        Assert.AreEqual(expected, loss.Evaluate(output, [0, 2, 1, 0], gradient, 0), 1e-6);
        Assert.AreEqual(((Math.Exp(1) / total) - 1) / 4, gradient.Data[0], 1e-6);
        Assert.AreEqual((2, 4), loss.CountRight(output, [0, 2, 1, 0]));
        var e = Assert.ThrowsExactly<TrainingException>(() => loss.Evaluate(output, [0, 2, 3, 0], null, 100));
        Assert.AreEqual(101, e.Row);
        Assert.ThrowsExactly<TrainingException>(() => loss.Evaluate(output, [0, 2], null, 0));
    }

    [TestMethod]
    public void ClassesMayLieBeforeAxesOfOne() =>
        Assert.AreEqual(new CrossEntropy().Evaluate(new([1, 3], [1, 2, 3]), [1], null, 0), new CrossEntropy().Evaluate(new([1, 3, 1, 1], [1, 2, 3]), [1], null, 0));

    /// <summary>Scores that differ by a number for each step say the same.</summary>
    [TestMethod]
    public void ATeacherIsComparedWithStepByStep() =>
        Assert.AreEqual(0, new Distillation(1).Evaluate(new([1, 2, 3], [1, 2, 3, 3, 2, 1]), [0, 1, 2, 103, 102, 101], null, 0), 1e-9);

    [TestMethod]
    public void ATeacherThatIsAgreedWithCostsNothing()
    {
        float[] scores = [1, -2, 3];
        Assert.AreEqual(0, new Distillation(4).Evaluate(new([1, 3], scores), scores, null, 0), 1e-12);
    }

    private static (Loss Loss, float[] Labels) Make(string kind) => kind switch
    {
        "cross-entropy" => (new CrossEntropy(), [0, 2, 1, 1, 0]),
        "binary" => (new BinaryCrossEntropy(), [0, 1, 1, 0, 0, 1, 1, 1, 0, 1, 0, 0, 1, 0, 1]),
        "squared" => (new MeanSquaredError(), [0.5f, 1, -1, 0, 2, 1, 3, 1, 0, -1, 0, 0, 1, 0.25f, 1]),
        _ => (new Distillation(3), [0.5f, 1, -1, 0, 2, 1, 3, 1, 0, -1, 0, 0, 1, 0.25f, 1]),
    };
}
