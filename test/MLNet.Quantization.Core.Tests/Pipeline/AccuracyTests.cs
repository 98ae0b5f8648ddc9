using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Numerics;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests.Pipeline;

/// <summary>Real models on real data: what INT8 costs, counted row by row, and what ONNX Runtime says of the files that are written.</summary>
[TestClass]
public class AccuracyTests
{
    /// <summary>Points of accuracy, in percent, that INT8 may cost.</summary>
    private const double MostPointsLost = 0.2;

    /// <summary>Sums of a few hundred products in another order, relative to the largest score.</summary>
    private const double FloatTolerance = 1e-5;

    /// <summary>
    /// The engine multiplies sums by (Sa · Sw) / Sy, ONNX Runtime adds up floats: near a tie a code may differ by one. So many codes of one
    /// row's last layer at once are not seen.
    /// </summary>
    private const int CodesApart = 8;

    public required TestContext TestContext { get; set; }

    [TestMethod]
    public void MnistInFloatAsMeasuredElsewhere()
    {
        var rows = SharedRows.Mnist();
        Assert.AreEqual("[N,784,1]", rows.Model.Graph.Inputs[0].Shape!.ToString(), "the batch of 1 becomes symbolic");
        float[] scores = rows.Score(Program.Compile(rows.Model.Graph));
        Assert.AreEqual(4868, Correct(rows, scores), "97.36 % of 5,000");
        float[] expected = Elsewhere(OnnxReader.ReadFile(SharedData.Model("mnist_mlp_256x2")), rows, 100);
        AssertClose(expected, scores[..expected.Length], FloatTolerance * expected.Max(MathF.Abs));
    }

    [TestMethod]
    [DataRow(CalibrationMethod.MinMax)]
    [DataRow(CalibrationMethod.MovingAverage)]
    [DataRow(CalibrationMethod.Percentile)]
    public void MnistStatic(CalibrationMethod method)
    {
        var rows = SharedRows.Mnist();
        int half = rows.Count / 2;
        float[] real = rows.Score(Program.Compile(rows.Model.Graph));
        float[] first = Static(rows, ..half, method), second = Static(rows, half.., method);
        int n = real.Length / rows.Count;
        AssertAsGood(rows, $"static, {method}", real, [.. second[..(half * n)], .. first[(half * n)..]]);
    }

    [TestMethod]
    public void MnistDynamic()
    {
        var rows = SharedRows.Mnist();
        float[] scores = rows.Score(QuantizationRecipe.QuantizeDynamic(rows.Model).Compile());
        AssertAsGood(rows, "dynamic", rows.Score(Program.Compile(rows.Model.Graph)), scores);
    }

    [TestMethod]
    public void HandKeypoints()
    {
        var rows = SharedRows.HandKeypoints();
        int half = rows.Count / 2;
        float[] real = rows.Score(Program.Compile(rows.Model.Graph));
        Assert.AreEqual(96.52, 100d * Correct(rows, real) / rows.Count, 0.005);
        int n = real.Length / rows.Count;
        float[] first = Static(rows, ..half, CalibrationMethod.MinMax), second = Static(rows, half.., CalibrationMethod.MinMax);
        AssertAsGood(rows, "static", real, [.. second[..(half * n)], .. first[(half * n)..]]);
        AssertAsGood(rows, "dynamic", real, rows.Score(QuantizationRecipe.QuantizeDynamic(rows.Model).Compile()));
    }

    [TestMethod]
    public void AutoencoderKeepsItsReconstruction()
    {
        // No labelled data exist for it: noise with the scale and slope of log-mel frames stands in, and the noise of INT8 is held against the signal.
        var model = SharedRows.Load("ad_autoencoder_mlp");
        int features = (int)model.Graph.Inputs[0].Shape![1].Value;
        var random = new Random(3);
        const int count = 512;
        float[] values = [.. Enumerable.Range(0, count * features).Select(i => -30 - 20f * (i % 128) / 128 + 8 * (random.NextSingle() + random.NextSingle() - 1))];
        var rows = new SharedRows(model, values, new int[count]);
        float[] real = rows.Score(Program.Compile(model.Graph));
        double fixedScales = SharedRows.SignalToNoise(real, Static(rows, ..(count / 2), CalibrationMethod.MinMax));
        double rowScales = SharedRows.SignalToNoise(real, rows.Score(QuantizationRecipe.QuantizeDynamic(model).Compile()));
        TestContext.WriteLine($"reconstruction SQNR: static {fixedScales:F1} dB, dynamic {rowScales:F1} dB");
        Assert.IsGreaterThan(25, fixedScales);
        Assert.IsGreaterThan(25, rowScales);
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void OnnxRuntimeScoresTheWrittenFileAsTheEngineDoes(bool optimized)
    {
        var rows = SharedRows.Mnist();
        var quantized = QuantizationRecipe.QuantizeStatic(rows.Model, rows.Calibrate(..1000));
        float[] expected = Elsewhere(quantized.Graph, rows, rows.Count, optimized);
        float[] scores = rows.Score(quantized.Compile());
        float tolerance = CodesApart * OneCode(quantized.Graph);
        float most = expected.Zip(scores, (a, b) => MathF.Abs(a - b)).Max();
        int[] theirs = rows.Classes(expected), ours = rows.Classes(scores);
        int apart = theirs.Zip(ours).Count(p => p.First != p.Second);
        TestContext.WriteLine($"largest difference {most:G4} of scores up to {expected.Max(MathF.Abs):G4}, tolerance {tolerance:G4}; {apart} of {rows.Count} rows in another class; exactly equal: {expected.Zip(scores).Count(p => p.First == p.Second)} of {scores.Length}");
        Assert.IsLessThanOrEqualTo(tolerance, most);
        Assert.IsLessThanOrEqualTo(rows.Count / 1000, apart);
    }

    [TestMethod]
    public void TheDynamicFileRunsElsewhereInFloat()
    {
        var rows = SharedRows.Mnist();
        var quantized = QuantizationRecipe.QuantizeDynamic(rows.Model);
        float[] weightsOnly = Elsewhere(quantized.Graph, rows, rows.Count), scores = rows.Score(quantized.Compile());
        int apart = rows.Classes(weightsOnly).Zip(rows.Classes(scores)).Count(p => p.First != p.Second);
        TestContext.WriteLine($"{apart} of {rows.Count} rows in another class, SQNR {SharedRows.SignalToNoise(weightsOnly, scores):F1} dB");
        Assert.IsLessThanOrEqualTo(rows.Count * MostPointsLost / 100, apart);
    }

    /// <summary>What one code of the last layer's input can move a score by: Sa · Sw · max |w|.</summary>
    private static float OneCode(ModelGraph graph)
    {
        var last = graph.Nodes.Last(n => n.OpType == "Gemm");
        var producers = graph.Producers();
        Tensor Constant(int input, int part) => graph.Initializers[producers[last.Inputs[input]].Inputs[part]];
        return Constant(0, 1).Span<float>()[0] * Constant(1, 1).Span<float>().ToArray().Max() * CodeGrid.Int8Narrow.Max;
    }

    private static float[] Static(SharedRows rows, Range calibration, CalibrationMethod method) =>
        rows.Score(QuantizationRecipe.QuantizeStatic(rows.Model, rows.Calibrate(calibration, new() { Method = method })).Compile());

    private void AssertAsGood(SharedRows rows, string what, float[] real, float[] scores)
    {
        TestContext.WriteLine($"{what}: {rows.Compare(real, scores)}");
        Assert.IsLessThanOrEqualTo(MostPointsLost, rows.Accuracy(real) - rows.Accuracy(scores));
    }

    private static int Correct(SharedRows rows, float[] scores) => rows.Classes(scores).Zip(rows.Labels).Count(p => p.First == p.Second);

    /// <summary>Scores of the first rows by ONNX Runtime, one row at a time where the file has a batch of 1.</summary>
    private static float[] Elsewhere(ModelGraph graph, SharedRows rows, int count, bool optimized = true)
    {
        var input = graph.Inputs[0];
        int batch = input.Shape![0].IsKnown ? 1 : count;
        using var session = new OnnxRuntimeOracle(graph, optimized);
        return [.. Enumerable.Range(0, count / batch).SelectMany(i =>
            session.Score((input.Name, rows.Values.AsSpan(i * batch * rows.Features, batch * rows.Features).ToArray(), SharedRows.ShapeOf(input, batch)))[0])];
    }

    private static void AssertClose(float[] expected, float[] found, double tolerance)
    {
        Assert.HasCount(expected.Length, found);
        for (int i = 0; i < found.Length; i++) Assert.AreEqual(expected[i], found[i], tolerance);
    }
}
