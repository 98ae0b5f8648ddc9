using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Trainers;
using MLNet.Quantization.Execution;

namespace MLNet.Quantization.Tests.Linear;

/// <summary>Fitted pipelines of ML.NET's linear trainers, quantized: columns, annotations and metrics stay as they were.</summary>
[TestClass]
public sealed class QuantizePipelineTests
{
    private const int Width = 16;

    private readonly MLContext _mlContext = new(seed: 1);

    public sealed class Example
    {
        [VectorType(Width)]
        public float[] Features { get; set; } = [];

        public string Kind { get; set; } = "";

        public bool Flag { get; set; }

        public float Target { get; set; }

        public float Count { get; set; }
    }

    public sealed class Answer
    {
        public string Name { get; set; } = "";

        public float[] Score { get; set; } = [];
    }

    private static List<Example> Examples(int count, int seed = 3)
    {
        var random = new Random(seed);
        string[] kinds = ["bird", "cat", "dog", "fish"];
        return [.. Enumerable.Range(0, count).Select(i =>
        {
            int kind = random.Next(kinds.Length);
            float[] features = [.. Enumerable.Range(0, Width).Select(f => (float)(random.NextDouble() - 0.5 + (f % kinds.Length == kind ? 0.6 : 0)))];
            float target = features.Select((x, f) => x * (f - 5)).Sum();
            return new Example { Features = features, Kind = kinds[kind], Flag = target + random.NextDouble() > 0, Target = target, Count = (float)Math.Floor(Math.Exp(features[0] + features[1])) };
        })];
    }

    private IDataView Data(int count = 1000) => _mlContext.Data.LoadFromEnumerable(Examples(count));

    private static readonly PipelineQuantizationOptions Static = new() { Activations = ActivationQuantization.Static };

    [TestMethod]
    [DataRow(false, false)]
    [DataRow(false, true)]
    [DataRow(true, false)]
    [DataRow(true, true)]
    public void MulticlassModels(bool isStatic, bool isMaximumEntropy)
    {
        var data = Data();
        IEstimator<ITransformer> trainer = isMaximumEntropy
            ? _mlContext.MulticlassClassification.Trainers.LbfgsMaximumEntropy("Label")
            : _mlContext.MulticlassClassification.Trainers.SdcaNonCalibrated(new SdcaNonCalibratedMulticlassTrainer.Options { NumberOfThreads = 1 });
        var fitted = _mlContext.Transforms.Conversion.MapValueToKey("Label", "Kind").Append(trainer)
            .Append(_mlContext.Transforms.Conversion.MapKeyToValue("Name", "PredictedLabel")).Fit(data);
        var int8 = _mlContext.Quantization().Quantize(fitted, data, out var report, isStatic ? Static : null);
        Assert.IsTrue(report.Layers.Single().IsInt8);
        AssertSameSchema(fitted.Transform(data).Schema, int8.Transform(data).Schema);
        var before = _mlContext.MulticlassClassification.Evaluate(fitted.Transform(data));
        var after = _mlContext.MulticlassClassification.Evaluate(int8.Transform(data));
        Assert.AreEqual(before.MicroAccuracy, after.MicroAccuracy, 0.005);
        Assert.AreEqual(before.ConfusionMatrix.NumberOfClasses, after.ConfusionMatrix.NumberOfClasses);
        float[] scores = [.. fitted.Transform(data).GetColumn<float[]>("Score").SelectMany(s => s)];
        AssertClose(scores, [.. int8.Transform(data).GetColumn<float[]>("Score").SelectMany(s => s)], 0.02f * scores.Max(MathF.Abs));
        var names = int8.Transform(data).GetColumn<string>("Name").ToArray();
        Assert.IsGreaterThan(900, Examples(1000).Where((e, i) => e.Kind == names[i]).Count());

        var loaded = SavedAndLoaded(int8, data);
        AssertSameSchema(fitted.Transform(data).Schema, loaded.Transform(data).Schema);
        CollectionAssert.AreEqual(Bits(int8, data), Bits(loaded, data));
        using var engine = _mlContext.Model.CreatePredictionEngine<Example, Answer>(loaded);
        foreach (var (example, name) in Examples(1000).Zip(names).Take(20)) Assert.AreEqual(name, engine.Predict(example).Name);
    }

    private static int[] Bits(ITransformer model, IDataView data) =>
        [.. model.Transform(data).GetColumn<float[]>("Score").SelectMany(s => s).Select(BitConverter.SingleToInt32Bits)];

    private ITransformer SavedAndLoaded(ITransformer model, IDataView data)
    {
        using var zip = new MemoryStream();
        _mlContext.Model.Save(model, data.Schema, zip);
        zip.Position = 0;
        return new MLContext().Model.Load(zip, out _);
    }

    [TestMethod]
    [DataRow("SdcaLogisticRegression", true)]
    [DataRow("LbfgsLogisticRegression", true)]
    [DataRow("AveragedPerceptron", false)]
    [DataRow("LinearSvm", false)]
    [DataRow("SgdCalibrated", true)]
    public void BinaryModels(string name, bool isCalibrated)
    {
        var data = Data();
        var trainers = _mlContext.BinaryClassification.Trainers;
        IEstimator<ITransformer> trainer = name switch
        {
            "SdcaLogisticRegression" => trainers.SdcaLogisticRegression(new SdcaLogisticRegressionBinaryTrainer.Options { LabelColumnName = "Flag", NumberOfThreads = 1 }),
            "LbfgsLogisticRegression" => trainers.LbfgsLogisticRegression("Flag"),
            "AveragedPerceptron" => trainers.AveragedPerceptron("Flag"),
            "LinearSvm" => trainers.LinearSvm("Flag"),
            _ => trainers.SgdCalibrated(new SgdCalibratedTrainer.Options { LabelColumnName = "Flag", NumberOfThreads = 1 }),
        };
        var fitted = _mlContext.Transforms.NormalizeMinMax("Features").Append(trainer).Fit(data);
        foreach (var options in (PipelineQuantizationOptions?[])[null, Static])
        {
            var int8 = _mlContext.Quantization().Quantize(fitted, data, out _, options);
            AssertSameSchema(fitted.Transform(data).Schema, int8.Transform(data).Schema);
            float[] scores = [.. fitted.Transform(data).GetColumn<float>("Score")];
            float tolerance = 0.02f * scores.Max(MathF.Abs);
            AssertClose(scores, [.. int8.Transform(data).GetColumn<float>("Score")], tolerance);
            bool[] labels = [.. fitted.Transform(data).GetColumn<bool>("PredictedLabel")], found = [.. int8.Transform(data).GetColumn<bool>("PredictedLabel")];
            Assert.IsLessThanOrEqualTo(20, labels.Where((l, i) => l != found[i]).Count());
            if (isCalibrated)
            {
                // A logistic function rises by a quarter of its argument at most.
                AssertClose([.. fitted.Transform(data).GetColumn<float>("Probability")], [.. int8.Transform(data).GetColumn<float>("Probability")], MathF.Max(0.03f, tolerance / 4));
                Assert.AreEqual(_mlContext.BinaryClassification.Evaluate(fitted.Transform(data), "Flag").AreaUnderRocCurve, _mlContext.BinaryClassification.Evaluate(int8.Transform(data), "Flag").AreaUnderRocCurve, 0.002);
            }
            else
            {
                Assert.AreEqual(_mlContext.BinaryClassification.EvaluateNonCalibrated(fitted.Transform(data), "Flag").Accuracy, _mlContext.BinaryClassification.EvaluateNonCalibrated(int8.Transform(data), "Flag").Accuracy, 0.01);
            }
            var loaded = SavedAndLoaded(int8, data);
            CollectionAssert.AreEqual(int8.Transform(data).GetColumn<float>("Score").ToArray(), loaded.Transform(data).GetColumn<float>("Score").ToArray());
        }
    }

    [TestMethod]
    [DataRow("Sdca")]
    [DataRow("OnlineGradientDescent")]
    [DataRow("LbfgsPoissonRegression")]
    public void RegressionModels(string name)
    {
        var data = Data();
        string label = name.Contains("Poisson", StringComparison.Ordinal) ? "Count" : "Target";
        var trainers = _mlContext.Regression.Trainers;
        IEstimator<ITransformer> trainer = name switch
        {
            "Sdca" => trainers.Sdca(new SdcaRegressionTrainer.Options { LabelColumnName = label, NumberOfThreads = 1 }),
            "OnlineGradientDescent" => trainers.OnlineGradientDescent(label),
            _ => trainers.LbfgsPoissonRegression(label),
        };
        var fitted = trainer.Fit(data);
        foreach (var options in (PipelineQuantizationOptions?[])[null, Static])
        {
            var int8 = _mlContext.Quantization().Quantize(fitted, data, out _, options);
            AssertSameSchema(fitted.Transform(data).Schema, int8.Transform(data).Schema);
            Assert.AreEqual(_mlContext.Regression.Evaluate(fitted.Transform(data), label).RSquared, _mlContext.Regression.Evaluate(int8.Transform(data), label).RSquared, 0.01);
            var loaded = SavedAndLoaded(int8, data);
            CollectionAssert.AreEqual(int8.Transform(data).GetColumn<float>("Score").ToArray(), loaded.Transform(data).GetColumn<float>("Score").ToArray());
        }
    }

    [TestMethod]
    [DataRow("LbfgsMaximumEntropy")]
    [DataRow("SdcaNonCalibrated")]
    [DataRow("LbfgsLogisticRegression")]
    [DataRow("AveragedPerceptron")]
    [DataRow("Sdca")]
    [DataRow("LbfgsPoissonRegression")]
    public void TheFloatGraphIsTheModel(string name)
    {
        var data = _mlContext.Transforms.Conversion.MapValueToKey("Label", "Kind").Fit(Data(200)).Transform(Data(200));
        IEstimator<ITransformer> trainer = name switch
        {
            "LbfgsMaximumEntropy" => _mlContext.MulticlassClassification.Trainers.LbfgsMaximumEntropy(),
            "SdcaNonCalibrated" => _mlContext.MulticlassClassification.Trainers.SdcaNonCalibrated(),
            "LbfgsLogisticRegression" => _mlContext.BinaryClassification.Trainers.LbfgsLogisticRegression("Flag"),
            "AveragedPerceptron" => _mlContext.BinaryClassification.Trainers.AveragedPerceptron("Flag"),
            "Sdca" => _mlContext.Regression.Trainers.Sdca("Target"),
            _ => _mlContext.Regression.Trainers.LbfgsPoissonRegression("Count"),
        };
        var fitted = trainer.Fit(data);
        var stage = MLNet.Quantization.Linear.LinearStages.TryRead((ISingleFeaturePredictionTransformer<object>)fitted)!;
        var scored = fitted.Transform(data);
        var program = Program.Compile(stage.Graph);
        using var run = program.Rent([200, Width]);
        float[][] features = [.. data.GetColumn<float[]>("Features")];
        for (int i = 0; i < features.Length; i++) features[i].CopyTo(run.Input<float>(0)[(i * Width)..]);
        run.Execute();
        foreach (var column in stage.Columns.Where(c => c.Name is "Score" or "Probability"))
        {
            bool isVector = scored.Schema[column.Name].Type is VectorDataViewType;
            float[] expected = isVector ? [.. scored.GetColumn<float[]>(column.Name).SelectMany(s => s)] : [.. scored.GetColumn<float>(column.Name)];
            int output = Enumerable.Range(0, program.Outputs.Length).First(o => program.Outputs[o].Name == column.Tensor);
            AssertClose(expected, run.Output<float>(output).ToArray(), 1e-5f * Math.Max(1, expected.Max(MathF.Abs)));
        }
    }

    [TestMethod]
    public void AModelFromAZipIsQuantizedToo()
    {
        var data = Data();
        var fitted = _mlContext.Transforms.Conversion.MapValueToKey("Label", "Kind").Append(_mlContext.MulticlassClassification.Trainers.SdcaMaximumEntropy("Label")).Fit(data);
        var loaded = SavedAndLoaded(fitted, data);
        var int8 = _mlContext.Quantization().Quantize(loaded, data, out _);
        CollectionAssert.AreEqual(Bits(_mlContext.Quantization().Quantize(fitted, data, out _), data), Bits(int8, data));
    }

    [TestMethod]
    public void ALanguageIdentifierKeepsItsAccuracyAndItsSparsity()
    {
        // Two alphabets of made-up words.
        var random = new Random(5);
        string Word(string letters) => string.Concat(Enumerable.Range(0, random.Next(3, 9)).Select(_ => letters[random.Next(letters.Length)]));
        string Text(string letters) => string.Join(' ', Enumerable.Range(0, 12).Select(_ => Word(letters)));
        string[] alphabets = ["aeioulmnrst", "aeioukptsvz", "öüäeinrstch"];
        var texts = Enumerable.Range(0, 600).Select(i => new { Text = Text(alphabets[i % 3]), Language = $"language{i % 3}" }).ToList();
        var data = _mlContext.Data.LoadFromEnumerable(texts);
        var fitted = _mlContext.Transforms.Conversion.MapValueToKey("Label", "Language")
            .Append(_mlContext.Transforms.Text.TokenizeIntoCharactersAsKeys("Characters", "Text"))
            .Append(_mlContext.Transforms.Text.ProduceHashedNgrams("Features", "Characters", numberOfBits: 15, ngramLength: 3))
            .Append(_mlContext.MulticlassClassification.Trainers.SdcaMaximumEntropy(new SdcaMaximumEntropyMulticlassTrainer.Options { MaximumNumberOfIterations = 3, NumberOfThreads = 1 }))
            .Fit(data);
        var int8 = _mlContext.Quantization().Quantize(fitted, data, out var report);
        Assert.IsLessThanOrEqualTo(0.27, (double)report.WeightBytesAfter / report.WeightBytesBefore);
        Assert.AreEqual(_mlContext.MulticlassClassification.Evaluate(fitted.Transform(data)).MicroAccuracy, _mlContext.MulticlassClassification.Evaluate(int8.Transform(data)).MicroAccuracy, 0.005);

        // Densified, the rows would take 600 · 32,768 floats.
        var scored = int8.Transform(data);
        _ = scored.GetColumn<float[]>("Score").Count();
        long before = GC.GetAllocatedBytesForCurrentThread();
        _ = scored.GetColumn<float[]>("Score").Count();
        Assert.IsLessThan(600L * 32768 * sizeof(float) / 4, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [TestMethod]
    public void APipelineWithoutALinearModelIsRefusedWithItsStages()
    {
        var data = Data(100);
        var fitted = _mlContext.Transforms.NormalizeMinMax("Features").Append(_mlContext.Transforms.Conversion.MapValueToKey("Label", "Kind"))
            .Append(_mlContext.MulticlassClassification.Trainers.OneVersusAll(_mlContext.BinaryClassification.Trainers.AveragedPerceptron())).Fit(data);
        var e = Assert.ThrowsExactly<NotSupportedException>(() => _mlContext.Quantization().Quantize(fitted, data, out _));
        StringAssert.Contains(e.Message, "NormalizingTransformer");
        StringAssert.Contains(e.Message, "OneVersusAll");
        Assert.ThrowsExactly<ArgumentNullException>(() => _mlContext.Quantization().Quantize(null!, data, out _));
    }

    [TestMethod]
    public void StaticNeedsRows()
    {
        var data = Data(100);
        var fitted = _mlContext.Regression.Trainers.Sdca("Target").Fit(data);
        Assert.ThrowsExactly<CalibrationException>(() => _mlContext.Quantization().Quantize(fitted, _mlContext.Data.LoadFromEnumerable(Array.Empty<Example>()), out _, Static));
    }

    /// <summary>Names, types and annotations, values included.</summary>
    private static void AssertSameSchema(DataViewSchema expected, DataViewSchema found)
    {
        CollectionAssert.AreEqual(expected.Select(c => c.Name).ToArray(), found.Select(c => c.Name).ToArray());
        foreach (var (e, f) in expected.Zip(found))
        {
            Assert.AreEqual(e.Type.ToString(), f.Type.ToString(), e.Name);
            CollectionAssert.AreEquivalent(e.Annotations.Schema.Select(a => $"{a.Name}: {a.Type}").ToArray(), f.Annotations.Schema.Select(a => $"{a.Name}: {a.Type}").ToArray(), e.Name);
            foreach (var a in e.Annotations.Schema.Where(a => a.Type is VectorDataViewType { ItemType: TextDataViewType }))
            {
                VBuffer<ReadOnlyMemory<char>> x = default, y = default;
                e.Annotations.GetValue(a.Name, ref x);
                f.Annotations.GetValue(a.Name, ref y);
                CollectionAssert.AreEqual(x.DenseValues().Select(v => v.ToString()).ToArray(), y.DenseValues().Select(v => v.ToString()).ToArray(), a.Name);
            }
        }
    }

    private static void AssertClose(float[] expected, float[] found, float tolerance)
    {
        Assert.HasCount(expected.Length, found);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], found[i], tolerance, $"element {i}");
    }
}
