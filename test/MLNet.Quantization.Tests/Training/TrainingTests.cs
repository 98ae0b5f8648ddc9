using Microsoft.ML;
using Microsoft.ML.Data;

namespace MLNet.Quantization.Tests.Training;

[TestClass]
public sealed class TrainingTests
{
    private readonly MLContext _ml = new(1);

    private sealed class Point
    {
        [VectorType(2)]
        public float[] Features { get; set; } = [];

        public uint Class { get; set; }

        public float Value { get; set; }
    }

    private sealed class Scored
    {
        public float[] Score { get; set; } = [];
    }

    /// <summary>Three rings around the origin.</summary>
    private static List<Point> Rings(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ =>
        {
            int ring = random.Next(3);
            double radius = 0.4 + ring + (0.5 * random.NextDouble()), angle = 2 * Math.PI * random.NextDouble();
            return new Point { Features = [(float)(radius * Math.Cos(angle)), (float)(radius * Math.Sin(angle))], Class = (uint)ring, Value = (float)radius };
        })];
    }

    private static OnnxModel Network(int outputs = 3)
    {
        var network = new NetworkBuilder(2, "Features").Dense(32).Relu().Dense(32).Relu().Dense(outputs);
        return (outputs == 3 ? network.Softmax() : network).Build("Score");
    }

    private IDataView View(int count = 600, int seed = 1) => _ml.Data.LoadFromEnumerable(Rings(count, seed));

    private static TrainingOptions ByClass(Action<TrainingOptions>? more = null)
    {
        var options = new TrainingOptions { LabelColumnName = "Class", NumberOfEpochs = 20, LearningRate = 0.01, BatchSize = 32 };
        more?.Invoke(options);
        return options;
    }

    private double Accuracy(ITransformer scorer, List<Point> points)
    {
        var scores = _ml.Data.CreateEnumerable<Scored>(scorer.Transform(_ml.Data.LoadFromEnumerable(points)), reuseRowObject: false, ignoreMissingColumns: true).ToList();
        return scores.Zip(points).Count(p => Array.IndexOf(p.First.Score, p.First.Score.Max()) == (int)p.Second.Class) / (double)points.Count;
    }

    /// <summary>A net without any ONNX file: defined, trained, trained on with few bits, saved, loaded and scored, all in ML.NET.</summary>
    [TestMethod]
    public void ANetworkIsTrainedQuantizedSavedAndLoaded()
    {
        var q = _ml.Quantization();
        var held = Rings(300, 2);
        var trained = q.Train(Network(), View(), ByClass());
        Assert.IsGreaterThan(0.97, Accuracy(q.QuantizeWeights(trained).Fit(View()), held));

        var seen = new List<TrainingProgress>();
        var pipeline = _ml.Transforms.CopyColumns("Copy", "Features").Append(q.QuantizationAwareTraining(trained, new()
        {
            LabelColumnName = "Class",
            WeightBits = 3,
            ActivationBits = 4,
            LearnedStepSize = true,
            NumberOfEpochs = 10,
            LearningRate = 3e-3,
            BatchSize = 32,
            ValidationData = _ml.Transforms.CopyColumns("Copy", "Features").Fit(View()).Transform(View(200, 3)),
            Progress = seen.Add,
        }));
        var fitted = pipeline.Fit(View());
        Assert.HasCount(10, seen);
        Assert.IsGreaterThan(0.95, seen[^1].ValidationAccuracy!.Value);
        double accuracy = Accuracy(fitted, held);
        Assert.IsGreaterThan(0.95, accuracy);

        using var stream = new MemoryStream();
        _ml.Model.Save(fitted, View().Schema, stream);
        stream.Position = 0;
        Assert.AreEqual(accuracy, Accuracy(new MLContext().Model.Load(stream, out _), held));
        Assert.IsTrue(fitted.LastTransformer.Report.Layers.All(l => l.IsInt8));
    }

    [TestMethod]
    public void TheSameSeedGivesTheSameBitsAndAResumedRunToo()
    {
        string path = Path.Combine(Directory.CreateTempSubdirectory("training-").FullName, "rings.checkpoint");
        float[] whole = Weights(ByClass(o => o.NumberOfEpochs = 4)), again = Weights(ByClass(o => o.NumberOfEpochs = 4));
        CollectionAssert.AreEqual(whole, again);

        using var source = new CancellationTokenSource();
        Assert.ThrowsExactly<OperationCanceledException>(() => Weights(ByClass(o =>
        {
            (o.NumberOfEpochs, o.CheckpointPath, o.CancellationToken) = (4, path, source.Token);
            o.Progress = p =>
            {
                if (p.Epoch == 2) source.Cancel();
            };
        })));
        Assert.IsTrue(File.Exists(path));
        CollectionAssert.AreEqual(whole, Weights(ByClass(o => (o.NumberOfEpochs, o.CheckpointPath) = (4, path))));

        Assert.Contains("is of another", Assert.ThrowsExactly<TrainingException>(() =>
            _ml.Quantization().Train(new NetworkBuilder(2, "Features").Dense(3).Build(), View(), ByClass(o => (o.NumberOfEpochs, o.CheckpointPath) = (4, path)))).Message);
        byte[] bytes = File.ReadAllBytes(path);
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(path, bytes);
        Assert.Contains("damaged", Assert.ThrowsExactly<TrainingException>(() => Weights(ByClass(o => (o.NumberOfEpochs, o.CheckpointPath) = (4, path)))).Message);
        Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);

        float[] Weights(TrainingOptions options)
        {
            var trained = _ml.Quantization().Train(Network(), View(), options);
            return [.. trained.Graph.Initializers.OrderBy(i => i.Key, StringComparer.Ordinal).Where(i => i.Value.Type == Graph.ElementType.Float).SelectMany(i => i.Value.Span<float>().ToArray())];
        }
    }

    [TestMethod]
    public void ANumberIsLearnedAndDistilled()
    {
        var q = _ml.Quantization();
        var trained = q.Train(Network(1), View(), new() { LabelColumnName = "Value", Loss = TrainingLoss.MeanSquaredError, NumberOfEpochs = 30, LearningRate = 0.01, BatchSize = 32 });
        var points = Rings(200, 5);
        var aware = q.QuantizationAwareTraining(trained, new() { Loss = TrainingLoss.Distillation, WeightBits = 4, NumberOfEpochs = 5 }).Fit(View());
        var scores = _ml.Data.CreateEnumerable<Scored>(aware.Transform(_ml.Data.LoadFromEnumerable(points)), false, ignoreMissingColumns: true).ToList();
        Assert.IsLessThan(0.15, scores.Zip(points).Average(p => Math.Abs(p.First.Score[0] - p.Second.Value)));
    }

    [TestMethod]
    public void KeysAndDistillationOfClassesWork()
    {
        var q = _ml.Quantization();
        var keys = _ml.Transforms.Conversion.MapValueToKey("Key", "Class", keyOrdinality: Microsoft.ML.Transforms.ValueToKeyMappingEstimator.KeyOrdinality.ByValue).Fit(View()).Transform(View());
        var trained = q.Train(Network(), keys, ByClass(o => o.LabelColumnName = "Key"));
        var aware = q.QuantizationAwareTraining(trained, new() { Loss = TrainingLoss.Distillation, WeightBits = 4, ActivationBits = 4, NumberOfEpochs = 6, LabelColumnName = "none" }).Fit(View());
        Assert.IsGreaterThan(0.95, Accuracy(aware, Rings(300, 2)));
    }

    [TestMethod]
    public void BadInputIsNamedAndTheModelKept()
    {
        var q = _ml.Quantization();
        var model = Network();
        var e = Assert.ThrowsExactly<TrainingException>(() => q.Train(model, View(), ByClass(o => (o.LearningRate, o.Optimizer) = (1e6, TrainingOptimizer.Sgd))));
        Assert.Contains("not finite", e.Message);
        Assert.IsNotNull(e.NodeName);
        e = Assert.ThrowsExactly<TrainingException>(() => q.Train(new NetworkBuilder(2, "Features").Dense(2).Build(), View(), ByClass()));
        Assert.Contains("from 0 to 1", e.Message);
        Assert.IsNotNull(e.Row);
        Assert.Contains("empty", Assert.ThrowsExactly<TrainingException>(() => q.Train(model, View(0), ByClass())).Message);
        Assert.Contains("'none', the label", Assert.ThrowsExactly<ArgumentException>(() => q.Train(model, View(), ByClass(o => o.LabelColumnName = "none"))).Message);
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => q.Train(model, View(), ByClass(o => o.LearningRate = double.NaN)));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => q.QuantizationAwareTraining(model, new() { WeightBits = 1 }));
        Assert.ThrowsExactly<ArgumentException>(() => q.QuantizationAwareTraining(model, new() { EarlyStoppingPatience = 1 }));
        var graph = new NetworkBuilder(2, "Features").Dense(4).Tanh().Dense(3).Build().Graph;
        var noGradient = new OnnxModel(graph with { Nodes = [.. graph.Nodes.Select(n => n.OpType == "Tanh" ? n with { OpType = "Softsign" } : n)] });
        Assert.Contains("Softsign", Assert.ThrowsExactly<UnsupportedOperatorException>(() => q.Train(noGradient, View(), ByClass())).Message);
    }

    [TestMethod]
    public void EarlyStoppingBringsTheBestEpochBack()
    {
        var seen = new List<TrainingProgress>();
        _ml.Quantization().Train(Network(), View(60), ByClass(o =>
        {
            (o.NumberOfEpochs, o.Schedule, o.LearningRate, o.EarlyStoppingPatience) = (300, LearningRateSchedule.Constant, 0.05, 3);
            (o.ValidationData, o.Progress) = (View(100, 9), seen.Add);
        }));
        Assert.IsLessThan(300, seen.Count);
        Assert.AreEqual(4, seen.Count - seen.FindIndex(p => p.ValidationLoss == seen.Min(s => s.ValidationLoss)));
    }

    private sealed class Picture
    {
        [VectorType(64)]
        public float[] Pixels { get; set; } = [];

        public uint Class { get; set; }
    }

    /// <summary>Bars that lie or stand, with noise: a convolutional network defined, trained, quantized and saved without any file.</summary>
    [TestMethod]
    public void ANetworkOfImagesIsTrainedAndQuantized()
    {
        var q = _ml.Quantization();
        var network = NetworkBuilder.Image(1, 8, 8, "Pixels").Conv2D(8, 3).BatchNormalization().Relu().DepthwiseConv2D(3, stride: 2).BatchNormalization().Relu()
            .Conv2D(8, 1).Relu().MaxPool2D(2).AveragePool2D(2).Flatten().Dense(8).BatchNormalization().Relu().Dense(2).Softmax().Build("Score");
        Assert.AreEqual("Pixels: Float[N,1,8,8] -> Score: Float[N,2]", network.ToString());
        var data = _ml.Data.LoadFromEnumerable(Bars(400, 1));
        var held = Bars(200, 2);
        var trained = q.Train(network, data, ByClass(o => o.NumberOfEpochs = 8));
        foreach (int bits in new[] { 8, 4 })
        {
            var fitted = q.QuantizationAwareTraining(trained, new() { LabelColumnName = "Class", WeightBits = bits, ActivationBits = bits, NumberOfEpochs = 5 }).Fit(data);
            Assert.IsTrue(fitted.Report.Layers.All(l => l.IsInt8), fitted.Report.ToString());
            using var stream = new MemoryStream();
            _ml.Model.Save(fitted, data.Schema, stream);
            stream.Position = 0;
            var scores = _ml.Data.CreateEnumerable<Scored>(_ml.Model.Load(stream, out _).Transform(_ml.Data.LoadFromEnumerable(held)), false, ignoreMissingColumns: true).ToList();
            Assert.IsGreaterThan(190, scores.Zip(held).Count(p => (p.First.Score[1] > p.First.Score[0] ? 1u : 0u) == p.Second.Class));
        }
    }

    private sealed class Line
    {
        [VectorType(12)]
        public long[] Ids { get; set; } = [];

        public uint Class { get; set; }
    }

    /// <summary>Lines that hold 7 before 8 or the other way round, between other ids: only a network that sees order can tell.</summary>
    [TestMethod]
    [DataRow("Lstm")]
    [DataRow("Gru")]
    [DataRow("Conv1D")]
    public void ANetworkOfSequencesIsTrainedAndQuantized(string layer)
    {
        var q = _ml.Quantization();
        var tokens = NetworkBuilder.Tokens(12, "Ids").Embedding(10, 8);
        var network = (layer switch
        {
            "Lstm" => tokens.Lstm(16, returnSequence: false, bidirectional: false),
            "Gru" => tokens.Gru(16, returnSequence: true, bidirectional: true).GlobalAveragePool(),
            _ => tokens.Conv1D(16, 4).Relu().Conv1D(16, 4).Relu().GlobalMaxPool(),
        }).Dense(2).Softmax().Build("Score");
        Assert.AreEqual("Ids: Int64[N,12] -> Score: Float[N,2]", network.ToString());
        var data = _ml.Data.LoadFromEnumerable(Lines(600, 1));
        var held = Lines(300, 2);
        var trained = q.Train(network, data, ByClass(o => (o.NumberOfEpochs, o.LearningRate, o.BatchSize) = (25, 0.01, 32)));
        foreach (int bits in new[] { 8, 4 })
        {
            var fitted = q.QuantizationAwareTraining(trained, new() { LabelColumnName = "Class", WeightBits = bits, ActivationBits = bits, NumberOfEpochs = 6 }).Fit(data);
            Assert.IsTrue(fitted.Report.Layers.All(l => l.IsInt8), fitted.Report.ToString());
            using var stream = new MemoryStream();
            _ml.Model.Save(fitted, data.Schema, stream);
            stream.Position = 0;
            var scores = _ml.Data.CreateEnumerable<Scored>(_ml.Model.Load(stream, out _).Transform(_ml.Data.LoadFromEnumerable(held)), false, ignoreMissingColumns: true).ToList();
            Assert.IsGreaterThan(285, scores.Zip(held).Count(p => (p.First.Score[1] > p.First.Score[0] ? 1u : 0u) == p.Second.Class), $"{bits} bits");
        }
    }

    private static List<Line> Lines(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(i =>
        {
            long[] ids = [.. Enumerable.Range(0, 12).Select(_ => (long)random.Next(7))];
            int at = random.Next(11);
            (ids[at], ids[at + 1]) = i % 2 == 0 ? (7, 8) : (8, 7);
            return new Line { Ids = ids, Class = (uint)(i % 2) };
        })];
    }

    private static List<Picture> Bars(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(i =>
        {
            int at = random.Next(8), stands = random.Next(2);
            float[] pixels = [.. Enumerable.Range(0, 64).Select(p => ((stands == 1 ? p % 8 : p / 8) == at ? 1f : 0f) + (0.3f * (float)random.NextDouble()))];
            return new Picture { Pixels = pixels, Class = (uint)stands };
        })];
    }

    [TestMethod]
    public void LayersOfImagesThatDoNotFitAreRefused()
    {
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => NetworkBuilder.Image(1, 0, 3));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => NetworkBuilder.Image(1, 3, 3).Conv2D(0, 1));
        Assert.ThrowsExactly<OverflowException>(() => NetworkBuilder.Image(1 << 12, 1 << 12, 1 << 12));
        Assert.Contains("Image", Assert.ThrowsExactly<InvalidOperationException>(() => new NetworkBuilder(3).Conv2D(1, 1)).Message);
        Assert.Contains("Flatten", Assert.ThrowsExactly<InvalidOperationException>(() => NetworkBuilder.Image(1, 3, 3).Dense(2)).Message);
        Assert.Contains("3 x 2", Assert.ThrowsExactly<InvalidOperationException>(() => NetworkBuilder.Image(1, 3, 2).MaxPool2D(3)).Message);
        Assert.ThrowsExactly<InvalidOperationException>(() => NetworkBuilder.Sequence(3).BatchNormalization());
        Assert.Contains("Sequence", Assert.ThrowsExactly<InvalidOperationException>(() => new NetworkBuilder(3).Conv1D(1, 1)).Message);
        Assert.Contains("vectors", Assert.ThrowsExactly<InvalidOperationException>(() => new NetworkBuilder(3).GlobalMaxPool()).Message);
        Assert.ThrowsExactly<InvalidOperationException>(() => NetworkBuilder.Tokens().Conv1D(1, 1));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => NetworkBuilder.Sequence(3).Conv1D(1, 0));
        Assert.AreEqual("input: Float[N,T,3] -> output: Float[N,T,4]", NetworkBuilder.Sequence(3).Conv1D(4, 5).Build().ToString());
        Assert.AreEqual("input: Float[N,T,3] -> output: Float[N,3]", NetworkBuilder.Sequence(3).GlobalMaxPool().Build().ToString());
        Assert.AreEqual("input: Float[N,3,5,7] -> output: Float[N,3]", NetworkBuilder.Image(3, 5, 7).GlobalMaxPool().Build().ToString());
        Assert.AreEqual("input: Float[N,3,5,7] -> output: Float[N,4]", NetworkBuilder.Image(3, 5, 7).Conv2D(4, 3, stride: 2).GlobalAveragePool().Build().ToString());
    }
}
