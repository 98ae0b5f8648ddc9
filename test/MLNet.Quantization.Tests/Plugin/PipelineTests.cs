using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.ML;
using Microsoft.ML.Data;
using MLNet.Quantization.Onnx;
using static MLNet.Quantization.Tests.Plugin.TestModels;

namespace MLNet.Quantization.Tests.Plugin;

/// <summary>The estimators in ML.NET pipelines, and their models saved, loaded and asked.</summary>
[TestClass]
public sealed class PipelineTests
{
    private readonly MLContext _mlContext = new(seed: 1);

    private IEstimator<TransformerChain<QuantizedModelTransformer>> Static(OnnxModel model, CalibrateActivationsEstimator.Options? options = null) =>
        _mlContext.Quantization().CalibrateActivations(model, options)
            .Append(_mlContext.Quantization().QuantizeWeights(model, new() { Activations = ActivationQuantization.Static }));

    [TestMethod]
    public void StaticAndDynamicComeCloseToTheFloatModel()
    {
        var rows = Rows(500);
        float[][] expected = Oracle(MlpBytes(), rows, "scores");
        var data = _mlContext.View(rows);
        var dynamic8 = _mlContext.Quantization().QuantizeWeights(Mlp()).Fit(data);
        var static8 = Static(Mlp()).Fit(data);
        // Scores lie within some ±4; the 8-bit steps of two layers add up to a few hundredths.
        Assert.IsLessThan(0.06f, Difference(expected, Scores(dynamic8, data)));
        Assert.IsLessThan(0.08f, Difference(expected, Scores(static8, data)));
        Assert.IsTrue(dynamic8.Report.Layers.All(l => l.IsInt8) && static8.LastTransformer.Report.Layers.All(l => l.IsInt8));
        Assert.AreEqual(2, dynamic8.Report.Layers.Count);
    }

    [TestMethod]
    [DataRow(CalibrationMethod.MinMax)]
    [DataRow(CalibrationMethod.MovingAverage)]
    [DataRow(CalibrationMethod.Percentile)]
    public void EveryCalibrationMethodGivesAModel(CalibrationMethod method)
    {
        var rows = Rows(300);
        var data = _mlContext.View(rows);
        var model = Static(Mlp(), new() { Method = method, NumberOfThreads = 1 }).Fit(data);
        Assert.IsLessThan(0.3f, Difference(Oracle(MlpBytes(), rows, "scores"), Scores(model, data)));
    }

    [TestMethod]
    public void ProgressIsToldThroughTheContextsLog()
    {
        var told = new List<string>();
        _mlContext.Log += (_, e) => told.Add(e.Message);
        Static(Mlp()).Fit(_mlContext.View(Rows(100)));
        Assert.IsTrue(told.Any(m => m.Contains("Calibrated 2 activations on 100 rows", StringComparison.Ordinal)), string.Join('\n', told));
        Assert.IsTrue(told.Any(m => m.Contains("INT8 kernel ", StringComparison.Ordinal)), string.Join('\n', told));
        Assert.IsTrue(told.Any(m => m.Contains("2 of 2 layers are INT8", StringComparison.Ordinal)), string.Join('\n', told));
    }

    [TestMethod]
    public void TheExportedFileAgreesInOnnxRuntime()
    {
        var rows = Rows(200);
        var data = _mlContext.View(rows);
        var model = Static(Mlp()).Fit(data);
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "model.int8.onnx");
        model.LastTransformer.SaveAsOnnx(path);
        // Both compute the same integers; ONNX Runtime may round the last layer's float output elsewhere.
        Assert.IsLessThan(1e-3f, Difference(Oracle(File.ReadAllBytes(path), rows, "scores"), Scores(model, data)));
        // The dynamic form is computed in float there: only what quantized rows lose lies between them.
        var dynamic8 = _mlContext.Quantization().QuantizeWeights(Mlp()).Fit(data);
        dynamic8.SaveAsOnnx(path);
        Assert.IsLessThan(0.05f, Difference(Oracle(File.ReadAllBytes(path), rows, "scores"), Scores(dynamic8, data)));
    }

    [TestMethod]
    public void TheExportedFileOfOperatorsOnCodesAgreesInOnnxRuntime()
    {
        var rows = Rows(200);
        var data = _mlContext.View(rows);
        var model = Static(Mlp()).Fit(data);
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "model.int8.onnx");
        model.LastTransformer.SaveAsOnnx(path, OnnxQuantizationFormat.QOperator);
        Assert.IsFalse(OnnxReader.ReadFile(path).Nodes.Any(n => n.OpType == "DequantizeLinear"));
        Assert.IsLessThan(1e-3f, Difference(Oracle(File.ReadAllBytes(path), rows, "scores"), Scores(model, data)));
        // Activations then have one scale a tensor.
        var dynamic8 = _mlContext.Quantization().QuantizeWeights(Mlp()).Fit(data);
        dynamic8.SaveAsOnnx(path, OnnxQuantizationFormat.QOperator);
        Assert.IsTrue(OnnxReader.ReadFile(path).Nodes.Any(n => n.OpType == "MatMulInteger"));
        Assert.IsLessThan(0.1f, Difference(Oracle(File.ReadAllBytes(path), rows, "scores"), Scores(dynamic8, data)));
        Assert.Throws<ArgumentOutOfRangeException>(() => dynamic8.SaveAsOnnx(path, (OnnxQuantizationFormat)7));
    }

    [TestMethod]
    public void ABatchARowAndAnEngineGiveTheSameBits()
    {
        var rows = Rows(300);
        var data = _mlContext.View(rows);
        var model = Static(Mlp()).Fit(data);
        float[][] batch = Scores(model, data);
        using var engine = _mlContext.Model.CreatePredictionEngine<Row, Scored>(model, new PredictionEngineOptions { OwnsTransformer = false });
        for (int i = 0; i < 40; i++)
        {
            var one = engine.Predict(rows[i]);
            Assert.AreEqual(rows[i].Name, one.Name);
            Assert.IsTrue(batch[i].AsSpan().SequenceEqual(one.Score), $"row {i}");
        }
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void AZipLoadsInAnotherProcessWithTheSameBits(bool isStatic)
    {
        var rows = Rows(70);
        var data = _mlContext.View(rows);
        ITransformer model = isStatic ? Static(Mlp()).Fit(data) : _mlContext.Quantization().QuantizeWeights(Mlp()).Fit(data);
        using var folder = new TemporaryFolder();
        string zip = Path.Combine(folder.Path, "model.zip"), idv = Path.Combine(folder.Path, "rows.idv"), scores = Path.Combine(folder.Path, "scores");
        _mlContext.Model.Save(model, data.Schema, zip);
        using (var file = File.Create(idv)) _mlContext.Data.SaveAsBinary(data, file);
        Run(Path.Combine(AppContext.BaseDirectory, "LoadApp.dll"), zip, idv, "Score", scores);
        float[][] here = Scores(model, data);
        float[] expected = [.. here.SelectMany(s => s), .. here.Take(3).SelectMany(s => s)];
        Assert.IsTrue(MemoryMarshal.AsBytes(expected.AsSpan()).SequenceEqual(File.ReadAllBytes(scores)));
    }

    private static void Run(string assembly, params string[] arguments)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath is { } host && Path.GetFileNameWithoutExtension(host) == "dotnet" ? host : "dotnet") { RedirectStandardError = true };
        start.ArgumentList.Add(assembly);
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode, error);
    }

    [TestMethod]
    public void StagesBeforeAndAfterAreSavedLoadedAndAsked()
    {
        var rows = Rows(200);
        var data = _mlContext.View(rows);
        var pipeline = _mlContext.Transforms.NormalizeMinMax("Scaled", "Features")
            .Append(_mlContext.Transforms.CopyColumns("Features", "Scaled"))
            .AppendCacheCheckpoint(_mlContext)
            .Append(Static(Mlp()))
            .Append(_mlContext.Transforms.Concatenate("Twice", "Score", "Score"))
            .Append(_mlContext.Transforms.SelectColumns("Twice", "Score", "Name"));
        var model = pipeline.Fit(data);
        float[][] expected = [.. model.Transform(data).GetColumn<float[]>("Twice")];
        using var folder = new TemporaryFolder();
        string zip = Path.Combine(folder.Path, "chain.zip");
        _mlContext.Model.Save(model, data.Schema, zip);
        var fresh = new MLContext();
        var loaded = fresh.Model.Load(zip, out _);
        AssertSame(expected, [.. loaded.Transform(fresh.View(rows)).GetColumn<float[]>("Twice")]);
        using var engine = fresh.Model.CreatePredictionEngine<Row, Scored>(loaded);
        var one = engine.Predict(rows[5]);
        Assert.IsTrue(expected[5].AsSpan(0, Classes).SequenceEqual(one.Score));
        Assert.AreEqual("row5", one.Name);
    }

    [TestMethod]
    public void ManyThreadsShareAModel()
    {
        var rows = Rows(150);
        var data = _mlContext.View(rows);
        var model = _mlContext.Quantization().QuantizeWeights(Mlp()).Fit(data);
        float[][] expected = Scores(model, data);
        Parallel.For(0, 16, _ => AssertSame(expected, Scores(model, _mlContext.View(rows))));
    }

    [TestMethod]
    public void SparseRowsScoreAsTheirDenseForm()
    {
        var random = new Random(3);
        var dense = Rows(100);
        foreach (var row in dense)
            for (int i = 0; i < Width; i++)
                if (random.Next(4) > 0) row.Features[i] = 0;
        var data = _mlContext.View(dense);
        var schema = SchemaDefinition.Create(typeof(SparseRow));
        schema[nameof(SparseRow.Features)].ColumnType = new VectorDataViewType(NumberDataViewType.Single, Width);
        var sparse = _mlContext.Data.LoadFromEnumerable(dense.Select(r => new SparseRow { Features = Sparse(r.Features) }), schema);
        foreach (ITransformer model in (ITransformer[])[_mlContext.Quantization().QuantizeWeights(Mlp()).Fit(data), Static(Mlp()).Fit(data)])
            AssertSame(Scores(model, data), Scores(model, sparse));
    }

    private sealed class SparseRow
    {
        public VBuffer<float> Features { get; set; }
    }

    private static VBuffer<float> Sparse(float[] values)
    {
        int[] indices = [.. Enumerable.Range(0, values.Length).Where(i => values[i] != 0)];
        return new(values.Length, indices.Length, [.. indices.Select(i => values[i])], indices);
    }

    [TestMethod]
    public void AModelIsTakenOutOfAFittedOnnxTransformer()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "mlp.onnx");
        File.WriteAllBytes(path, MlpBytes());
        var data = _mlContext.View(Rows(10));
        var fitted = _mlContext.Transforms.CopyColumns("data", "Features").Append(_mlContext.Transforms.ApplyOnnxModel(["scores"], ["data"], path)).Fit(data);
        var model = OnnxModel.FromTransformer(fitted);
        Assert.AreEqual("data", model.Inputs.Single().ColumnName);
        CollectionAssert.AreEqual(new[] { "Gemm", "Relu" }, model.Operators.ToArray());
        Assert.ThrowsExactly<ArgumentException>(() => OnnxModel.FromTransformer(_mlContext.Transforms.CopyColumns("x", "Features").Fit(data)));
    }

    [TestMethod]
    public void CrossValidationFitsEachFoldAnew()
    {
        var data = _mlContext.View(Rows(60));
        var results = _mlContext.Regression.CrossValidate(
            data, Static(Mlp()).Append(_mlContext.Regression.Trainers.Sdca(labelColumnName: "Label", featureColumnName: "Score")), numberOfFolds: 3);
        Assert.HasCount(3, results);
    }
}
