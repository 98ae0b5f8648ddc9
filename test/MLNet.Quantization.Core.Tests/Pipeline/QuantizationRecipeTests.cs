using System.Collections.Immutable;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests.Pipeline;

[TestClass]
public class QuantizationRecipeTests
{
    private const int Features = 37, Hidden = 19, Classes = 5, Rows = 64;

    /// <summary>Decibels that two layers of 8 bits must keep of their float scores.</summary>
    private const double LeastSignalToNoise = 30;

    private static float[] Random(int seed, int count) => RandomOf(new(seed), count);

    private static float[] RandomOf(Random random, int count) => Enumerable.Range(0, count).Select(_ => random.NextSingle() * 2 - 1).ToArray();

    private static ModelGraph Mlp() => new()
    {
        Inputs = [new("x", ElementType.Float, new TensorShape(new Dimension("N"), Features))],
        Outputs = [new("y", ElementType.Float, null)],
        Nodes =
        [
            Node.Create("dense1", "Gemm", ["x", "w1", "b1"], ["h"]) with { Attributes = AttributeMap.Empty.With("transB", 1).With("alpha", 0.5f) },
            Node.Create("relu1", "Relu", ["h"], ["r"]),
            Node.Create("dense2", "Gemm", ["r", "w2", "b2"], ["y"]),
        ],
        Initializers = ImmutableDictionary<string, Tensor>.Empty
            .Add("w1", Tensor.Create(Random(1, Hidden * Features), Hidden, Features)).Add("b1", Tensor.Create(Random(2, Hidden), Hidden))
            .Add("w2", Tensor.Create(Random(3, Hidden * Classes), Hidden, Classes)).Add("b2", Tensor.Create(Random(4, Classes), Classes)),
        OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
    };

    private static CalibrationTable Calibrate(PreparedModel model, float[] data, CalibrationOptions? options = null)
    {
        var session = new CalibrationSession(model, options ?? CalibrationOptions.Default);
        using var run = session.Program.Rent([data.Length / Features, Features]);
        data.CopyTo(run.Input<float>(0));
        session.Observe(run, 0);
        return session.Finish();
    }

    private static float[] Score(Program program, ReadOnlySpan<float> data)
    {
        using var run = program.Rent([data.Length / Features, Features]);
        data.CopyTo(run.Input<float>(0));
        run.Execute();
        return run.Output<float>(0).ToArray();
    }

    [TestMethod]
    [DataRow(WeightGranularity.PerChannel, QuantizationScheme.Asymmetric)]
    [DataRow(WeightGranularity.PerTensor, QuantizationScheme.Symmetric)]
    public void StaticScoresAreTheDefinitionBitForBit(WeightGranularity granularity, QuantizationScheme scheme)
    {
        var model = PreparedModel.Prepare(Mlp());
        float[] data = Random(9, Rows * Features);
        var quantized = QuantizationRecipe.QuantizeStatic(model, Calibrate(model, data, new() { Scheme = scheme }), new() { Granularity = granularity });
        float[] expected = NaiveMlp.Static(quantized.Graph, data, Features, Hidden, Classes);
        CollectionAssert.AreEqual(expected, Score(quantized.Compile(), data));
        float[] real = Score(Program.Compile(model.Graph), data);
        double signal = real.Sum(r => (double)r * r), noise = real.Zip(expected, (a, b) => Math.Pow(a - b, 2)).Sum();
        Assert.IsGreaterThan(LeastSignalToNoise, 10 * Math.Log10(signal / noise));
        Assert.IsTrue(quantized.Report.Layers.All(l => l.IsInt8), quantized.Report.ToString());
    }

    [TestMethod]
    public void DynamicScoresAreTheDefinitionBitForBit()
    {
        var quantized = QuantizationRecipe.QuantizeDynamic(PreparedModel.Prepare(Mlp()));
        float[] data = Random(9, Rows * Features);
        CollectionAssert.AreEqual(NaiveMlp.Dynamic(quantized.Graph, data, Features, Hidden, Classes), Score(quantized.Compile(), data));
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void ARowScoresTheSameAloneAndInAnyBatchOnAnyThreads(bool dynamic)
    {
        var model = PreparedModel.Prepare(Mlp());
        float[] data = Random(9, Rows * Features);
        var quantized = dynamic ? QuantizationRecipe.QuantizeDynamic(model) : QuantizationRecipe.QuantizeStatic(model, Calibrate(model, data));
        float[] expected = Score(quantized.Compile(new() { MaxThreads = 1 }), data);
        foreach (int threads in new[] { 1, 2 })
            foreach (int batch in new[] { 1, 7, 64 })
            {
                var program = quantized.Compile(new() { MaxThreads = threads });
                var scores = new List<float>();
                for (int row = 0; row < Rows; row += batch) scores.AddRange(Score(program, data.AsSpan(row * Features, Math.Min(batch, Rows - row) * Features)));
                CollectionAssert.AreEqual(expected, scores);
            }
    }

    [TestMethod]
    [DataRow(true, "network")]
    [DataRow(false, "network")]
    [DataRow(true, "layer")]
    [DataRow(false, "layer")]
    public void SparseRowsScoreAsDenseOnes(bool dynamic, string of)
    {
        // In the network the first layer makes codes, alone it makes floats.
        var graph = of == "network" ? Mlp() : Mlp() with { Outputs = [new("h", ElementType.Float, null)], Nodes = [Mlp().Nodes[0]] };
        var model = PreparedModel.Prepare(graph);
        var quantized = dynamic ? QuantizationRecipe.QuantizeDynamic(model) : QuantizationRecipe.QuantizeStatic(model, Calibrate(model, Random(9, Rows * Features)));
        var random = new Random(4);
        const int count = 70;
        var rows = new SparseRows();
        float[] dense = new float[count * Features];
        for (int row = 0; row < count; row++)
        {
            // Empty, full and in between; values outside the calibrated range too.
            int[] columns = [.. Enumerable.Range(0, Features).Where(_ => random.Next(count) < row)];
            float[] values = RandomOf(random, columns.Length);
            if (values.Length > 0) values[0] = row % 3 == 0 ? 1e9f : -0f;
            for (int i = 0; i < columns.Length; i++) dense[row * Features + columns[i]] = values[i];
            rows.Add(columns, values);
        }
        foreach (int threads in new[] { 1, 2 })
        {
            var program = quantized.Compile(new() { MaxThreads = threads });
            Assert.IsTrue(program.AcceptsSparse(0));
            using var run = program.Rent([count, Features]);
            run.UseSparse(0, rows);
            run.Execute();
            CollectionAssert.AreEqual(Score(program, dense), run.Output<float>(0).ToArray());
        }
    }

    [TestMethod]
    public void TablesSurviveTheirBytesAndRefuseDamage()
    {
        var model = PreparedModel.Prepare(Mlp());
        byte[] bytes = Calibrate(model, Random(9, 4 * Features), new() { Method = CalibrationMethod.Percentile }).ToBytes();
        CollectionAssert.AreEqual(bytes, CalibrationTable.FromBytes(bytes).ToBytes());
        for (int i = 0; i < bytes.Length; i += 7)
        {
            byte[] damaged = [.. bytes];
            damaged[i] ^= 1;
            Assert.ThrowsExactly<CalibrationException>(() => CalibrationTable.FromBytes(damaged));
            Assert.ThrowsExactly<CalibrationException>(() => CalibrationTable.FromBytes(bytes.AsSpan(0, i)));
        }
    }

    [TestMethod]
    public void BadCalibrationIsNamed()
    {
        var model = PreparedModel.Prepare(Mlp());
        Assert.ThrowsExactly<CalibrationException>(() => new CalibrationSession(model, CalibrationOptions.Default).Finish());
        float[] data = Random(9, 4 * Features);
        data[2 * Features + 3] = float.NaN;
        var e = Assert.ThrowsExactly<CalibrationException>(() => Calibrate(model, data));
        Assert.AreEqual("x", e.TensorName);
        Assert.AreEqual(2, e.Row);
        var other = PreparedModel.Prepare(Mlp() with { OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 18) });
        var table = Calibrate(model, Random(9, 4 * Features));
        Assert.ThrowsExactly<CalibrationException>(() => QuantizationRecipe.QuantizeStatic(other, table));
    }

    [TestMethod]
    public void ExcludedNodesStayFloatAndUnknownOnesAreNamed()
    {
        var model = PreparedModel.Prepare(Mlp());
        var table = Calibrate(model, Random(9, Rows * Features));
        var report = QuantizationRecipe.QuantizeStatic(model, table, new() { ExcludedNodes = ["dense1"] }).Report;
        Assert.IsFalse(report.Layers[0].IsInt8);
        Assert.AreEqual("excluded", report.Layers[0].Reason);
        Assert.AreEqual(report.Layers[0].WeightBytesBefore, report.Layers[0].WeightBytesAfter);
        Assert.IsTrue(report.Layers[1].IsInt8);
        var e = Assert.ThrowsExactly<ArgumentException>(() => QuantizationRecipe.QuantizeDynamic(model, new() { ExcludedNodes = ["dense3"] }));
        StringAssert.Contains(e.Message, "'dense3'");
        StringAssert.Contains(e.Message, "'dense1', 'dense2'");
    }

    [TestMethod]
    public void WhatIsAdjustedIsReported()
    {
        var graph = Mlp();
        float[] weights = Random(1, Hidden * Features), bias = Random(2, Hidden);
        weights.AsSpan(0, Features).Fill(1e-30f); // a channel as it is left by a folded normalization
        bias[1] = 3e9f; // more than int32 holds at Sa · Sw
        graph = graph with { Initializers = graph.Initializers.SetItem("w1", Tensor.Create(weights, Hidden, Features)).SetItem("b1", Tensor.Create(bias, Hidden)) };
        var model = PreparedModel.Prepare(graph);
        float[] data = Random(9, Rows * Features);
        var quantized = QuantizationRecipe.QuantizeStatic(model, Calibrate(model, data));
        StringAssert.Contains(quantized.Report.Layers[0].Reason, "1 weight scales floored at 2^-60");
        StringAssert.Contains(quantized.Report.Layers[0].Reason, "weight scales enlarged so that sums fit int32");
        float[] scores = Score(quantized.Compile(), data), real = Score(Program.Compile(model.Graph), data);
        for (int i = 0; i < scores.Length; i++) Assert.AreEqual(real[i], scores[i], 0.01 * real.Max(MathF.Abs));
    }

    [TestMethod]
    public void TheReportIsCompleteAsTextAndAsJson()
    {
        var model = PreparedModel.Prepare(Mlp());
        var quantized = QuantizationRecipe.QuantizeStatic(model, Calibrate(model, Random(9, Rows * Features), new() { Method = CalibrationMethod.Percentile, Percentile = 90 }));
        var layer = quantized.Report.Layers[0];
        Assert.IsGreaterThan(0.05, layer.ClippedShare!.Value);
        Assert.IsGreaterThan(30, layer.WeightSignalToNoise!.Value);
        Assert.AreEqual(Hidden * Features + 4L * Hidden + 4L * Hidden, layer.WeightBytesAfter);
        StringAssert.Contains(quantized.Report.ToString(), "2 of 2 layers are INT8");
        using var json = System.Text.Json.JsonDocument.Parse(quantized.Report.ToJson());
        var first = json.RootElement.GetProperty("layers")[0];
        Assert.AreEqual("dense1", first.GetProperty("name").GetString());
        Assert.AreEqual(layer.InputScale!.Value, first.GetProperty("inputScale").GetSingle());
        Assert.AreEqual(layer.ClippedShare.Value, first.GetProperty("clippedShare").GetDouble());

        // What a file tells is the same but for what only the quantization knew.
        var read = QuantizedModel.FromGraph(quantized.Graph).Report.Layers[0];
        Assert.AreEqual((layer.IsInt8, layer.WeightBytesBefore, layer.WeightBytesAfter, layer.InputMin, layer.InputMax, layer.InputScale, layer.InputZeroPoint),
            (read.IsInt8, read.WeightBytesBefore, read.WeightBytesAfter, read.InputMin, read.InputMax, read.InputScale, read.InputZeroPoint));
    }

    [TestMethod]
    public void RowsOfAnyLengthAreCalibratedTogether()
    {
        var graph = Mlp() with { Inputs = [new("x", ElementType.Float, new TensorShape(new Dimension("N"), new Dimension("T"), Features))], Nodes = [Node.Create("dense", "MatMul", ["x", "w"], ["y"])] };
        graph = graph with { Initializers = graph.Initializers.Add("w", Tensor.Create(Random(3, Features * Classes), Features, Classes)) };
        var model = PreparedModel.Prepare(graph);
        var session = new CalibrationSession(model, CalibrationOptions.Default);
        for (int length = 1; length < 6; length++)
        {
            using var run = session.Program.Rent([2, length, Features]);
            run.Input<float>(0).Fill(length % 2 == 0 ? length : -length);
            session.Observe(run, 2 * (length - 1));
        }
        Assert.AreEqual((-5f, 4f), session.Finish().Statistics["x"].Range());
    }

    [TestMethod]
    public void ABatchOfOneBecomesSymbolic()
    {
        var graph = Mlp() with { Inputs = [new("x", ElementType.Float, new TensorShape(1, Features))] };
        var prepared = PreparedModel.Prepare(graph);
        Assert.AreEqual("[N,37]", prepared.Graph.Inputs[0].Shape!.ToString());
    }
}
